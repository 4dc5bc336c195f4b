"""Rules use what is exported, and tell pipelines apart."""

from __future__ import annotations

import pytest

from observability import alerts
from observability.alerts.rule import Alert, Recording
from observability.exported import exported
from observability.promql import labels_of

KNOWN = exported()
RULES = [rule for group in alerts.LOCAL for rule in group.rules]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_reads_what_is_exported(rule: Alert | Recording) -> None:
    labels_of(rule.expr, KNOWN)


@pytest.mark.parametrize(
    "alert", [rule for rule in RULES if isinstance(rule, Alert)], ids=lambda one: one.name
)
def test_an_alert_has_the_labels_of_its_texts(alert: Alert) -> None:
    labels = labels_of(alert.expr, KNOWN)
    for label in ("namespace", "pipeline", "source", "pod", "component", "operation"):
        assert f"$labels.{label}" not in alert.description or label in labels
    assert not alert.of_pipeline or {"cluster", "namespace", "pipeline"} <= labels
