"""What is said of the dashboards' pictures."""

from __future__ import annotations

from cluster.pictures import described


def test_panels_without_data_and_failures_are_named() -> None:
    found = {"dashboard": "slo", "panels": 3, "empty": ["Freshness", "Latency"], "errors": ["a", "b"]}
    assert described(found) == "slo: 3 panels, without data: Freshness, Latency\n  FAILED: a\n  FAILED: b"


def test_a_dashboard_in_order_is_one_line() -> None:
    assert described({"dashboard": "slo", "panels": 3, "empty": [], "errors": []}) == "slo: 3 panels"
