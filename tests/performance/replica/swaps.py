"""Swaps under eight busy reader threads."""

from __future__ import annotations

from pathlib import Path

from tests.integration.store.swaps import hammer
from tests.performance.report import Report


def swaps(report: Report, folder: Path, count: int) -> None:
    """Count the queries that failed, were torn or saw what was before a swap."""
    result = hammer(folder, swaps=count, threads=8)
    wrong = len(result.errors) + result.torn + result.stale
    note = f"{result.swaps} swaps, {result.queries} queries of 8 threads: failed, torn or stale"
    report.add("swap_errors_1000", wrong, "count", note=note)
