"""Every alert says what it is, where to look and what to do."""

from __future__ import annotations

import re

import pytest

from observability import alerts
from observability.alerts.rule import Alert
from observability.generate import REPOSITORY

ALERTS = [rule for group in alerts.LOCAL for rule in group.rules if isinstance(rule, Alert)]
RUNBOOKS = REPOSITORY / "docs" / "runbooks"
SECTIONS = ["How to see it", "Why it happens", "What to do"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.full_name}-{alert.severity}")
def test_an_alert_is_complete(alert: Alert) -> None:
    assert re.fullmatch(r"StockPipeline([A-Z][a-z]+)+", alert.full_name)
    assert alert.severity in ("critical", "warning", "info")
    assert "{{" not in alert.summary, "the summary is the same for all"
    assert "{{" in alert.description or alert.name == "OperatorAbsent"
    page = (RUNBOOKS / f"{alert.full_name}.md").read_text()
    assert page.startswith(f"# {alert.full_name}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == SECTIONS


def test_an_alert_that_is_of_a_pipeline_says_so_in_its_query() -> None:
    for alert in ALERTS:
        assert ("$labels.pipeline" in alert.description) == alert.of_pipeline, alert.name


def test_every_page_has_an_alert() -> None:
    assert {page.stem for page in RUNBOOKS.glob("StockPipeline*.md")} == {alert.full_name for alert in ALERTS}


def test_no_severity_of_an_alert_is_there_twice() -> None:
    keys = [(alert.name, alert.severity) for alert in ALERTS]
    assert len(keys) == len(set(keys))
