"""The judge of queries finds what is wrong with them."""

from __future__ import annotations

import pytest

from observability.promql import UnknownName, labels_of, metrics_of

KNOWN = {"ticks_total": {"pipeline", "source", "pod"}, "lag": {"pipeline", "pod"}, "open": {"pipeline"}}


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ('ticks_total{source="kis"}', {"pipeline", "source", "pod"}),
        ("sum by (pipeline) (rate(ticks_total[$__rate_interval]))", {"pipeline"}),
        ("sum without (pod) (lag)", {"pipeline"}),
        ("sum(lag)", set()),
        ("sum by (pipeline) (lag) / on (pipeline) max by (pipeline) (open)", {"pipeline"}),
        ("lag and on (pipeline) open == 1", {"pipeline", "pod"}),
        ("open or lag", {"pipeline", "pod"}),
        ("topk by (pipeline) (3, lag)", {"pipeline", "pod"}),
        ("1 - 2 * open", {"pipeline"}),
        ("max_over_time((lag > bool 3)[5m:1m])", {"pipeline", "pod"}),
        ('label_replace(open, "name", "$1", "pipeline", "(.+)")', {"pipeline", "name"}),
    ],
)
def test_labels_of_the_result(query: str, labels: set[str]) -> None:
    assert labels_of(query, KNOWN) == labels


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("rate(tick_total[5m])", "tick_total"),
        ('lag{source="kis"}', "source"),
        ("sum by (symbol) (lag)", "symbol"),
        ("sum by (source) (sum by (pipeline) (ticks_total))", "source"),
        ("sum by (pipeline) (lag) / on (pod) open", "pod"),
        ("lag unless on (source) ticks_total", "source"),
    ],
)
def test_what_nobody_exports_is_found(query: str, complaint: str) -> None:
    with pytest.raises(UnknownName, match=complaint):
        labels_of(query, KNOWN)


def test_a_query_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="parenthesis"):
        metrics_of("sum by (pipeline (lag)")


def test_all_series_of_a_query_are_found() -> None:
    assert metrics_of("rate(ticks_total[5m]) / (lag > 0) and on (pipeline) open") == set(KNOWN)
