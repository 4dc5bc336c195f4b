"""What the operator's chart ships for monitoring: nothing by itself, else what its files have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import Chart, HelmValuesError

CHART = Path(__file__).parents[3] / "charts" / "stockpipeline-operator"
VALUES: dict[str, Any] = {"image": {"tag": "1"}, "services": {"image": {"tag": "2"}}}

Object = dict[str, Any]


def render(monitoring: Object, **values: Any) -> list[Object]:
    manifests = Chart.load(CHART).render(
        VALUES | values | {"monitoring": monitoring}, name="stockpipeline-operator", namespace="system"
    )
    return [found for text in manifests.values() for found in yaml.safe_load_all(text) if found]


def only(objects: list[Object], kind: str) -> Object:
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


def shipped_rules() -> Object:
    rules: Object = yaml.safe_load((CHART / "files" / "rules.yml").read_text())
    return rules


def test_nothing_is_shipped_unless_it_is_asked_for() -> None:
    assert not {"PrometheusRule", "PodMonitor"} & {each["kind"] for each in render({})}


def test_rules_are_those_of_the_file() -> None:
    rule = only(render({"rules": {"enabled": True, "labels": {"release": "main"}}}), "PrometheusRule")
    assert rule["spec"] == shipped_rules()
    assert rule["metadata"]["labels"]["release"] == "main"


def test_rules_have_the_addresses_that_are_given() -> None:
    rules = {"enabled": True, "repositoryUrl": "https://git.example/desk", "grafanaUrl": "https://g.example"}
    rule = only(render({"rules": rules}), "PrometheusRule")
    alerts = [one for group in rule["spec"]["groups"] for one in group["rules"] if "alert" in one]
    assert len(alerts) > 20
    for alert in alerts:
        page = f"https://git.example/desk/docs/runbooks/{alert['alert']}.md"
        assert alert["annotations"]["runbook_url"] == page
        assert alert["annotations"]["dashboard_url"].startswith("https://g.example/d/stockpipeline-")


@pytest.mark.parametrize("url", ["g.example", "https://g.example/", 'https://g.example/"'])
def test_addresses_that_would_give_broken_ones_are_refused(url: str) -> None:
    with pytest.raises(HelmValuesError, match="grafanaUrl"):
        Chart.load(CHART).validate_schema(VALUES | {"monitoring": {"rules": {"grafanaUrl": url}}})


@pytest.mark.parametrize(
    ("namespaces", "selector"),
    [([], {"any": True}), (["desk", "lab"], {"matchNames": ["desk", "lab", "system"]})],
)
def test_the_monitor_finds_the_pods_where_pipelines_are(namespaces: list[str], selector: Object) -> None:
    asked = {"monitors": {"enabled": True, "labels": {"release": "main"}}}
    objects = render(asked, watchNamespaces=namespaces)
    monitor = only(objects, "PodMonitor")
    assert monitor["metadata"]["labels"]["release"] == "main"
    assert monitor["spec"]["namespaceSelector"] == selector
    labels = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (expression,) = monitor["spec"]["selector"]["matchExpressions"]
    assert labels[expression["key"]] in expression["values"]
