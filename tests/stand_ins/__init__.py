"""Servers that stand in for KIS and Yahoo, with their real formats, limits and faults.

By hand: `python -m tests.stand_ins kis` (or `yahoo`); see `__main__`.
"""
