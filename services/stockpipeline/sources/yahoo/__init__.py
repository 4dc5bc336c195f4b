"""Quotes of Yahoo Finance, by yfinance's clients: streamed, and polled where the stream is silent."""
