"""Signals: the rule language, the latch, and the detector's pure core."""
