"""Indicators: the catalogue of TA-Lib's functions, their convergence, and the streaming engine."""
