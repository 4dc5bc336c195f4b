"""Stock-signal pipelines: market data in, indicators and signals out."""

__version__ = "0.1.0"
