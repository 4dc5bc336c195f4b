"""Where ticks come from: one module per kind of source, behind one small interface."""

from stockpipeline.sources.base import Source

__all__ = ["Source"]
