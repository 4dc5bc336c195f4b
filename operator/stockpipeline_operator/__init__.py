"""Kubernetes operator that turns StockPipeline resources into Helm releases."""

__version__ = "0.1.0"
