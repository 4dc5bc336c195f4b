"""The nightly batch: download, compute, scan, load, and bring Redis to where the store is.

Every step is a function that can run twice, in part, or for a past session, and gives the same bytes.
"""
