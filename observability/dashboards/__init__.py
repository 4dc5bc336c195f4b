"""The dashboards: one module for each, which says what is on it; `layout` makes Grafana's JSON of that."""

from observability.dashboards import (
    batch,
    detector,
    operator,
    overview,
    pipeline,
    producer,
    signals,
    slo,
    store,
    symbols,
)
from observability.dashboards.board import Board

BOARDS: tuple[Board, ...] = (
    overview.BOARD,
    pipeline.BOARD,
    signals.BOARD,
    producer.BOARD,
    detector.BOARD,
    batch.BOARD,
    store.BOARD,
    operator.BOARD,
    slo.BOARD,
)
OF_REPLICAS: tuple[Board, ...] = (symbols.BOARD,)
"""Those that ask replicas by SQL; `sql_layout` makes Grafana's JSON of them."""
