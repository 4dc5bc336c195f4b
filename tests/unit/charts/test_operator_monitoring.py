"""What the operator's chart ships for monitoring: nothing by itself, else what its files have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
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


def dashboards() -> dict[str, str]:
    return {file.name: file.read_text() for file in (CHART / "files" / "dashboards").glob("*.json")}


def shown_in(objects: list[Object]) -> list[Object]:
    return [
        each
        for each in objects
        if each["kind"] == "ConfigMap"
        and each["metadata"]["name"].startswith("stockpipeline-operator-stockpipe")
    ]


def test_dashboards_come_to_the_sidecar_byte_for_byte() -> None:
    maps = shown_in(render({}))
    assert {name: text for each in maps for name, text in each["data"].items()} == dashboards()
    assert len(maps) == len(dashboards()) > 5
    for each in maps:
        assert each["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert each["metadata"]["annotations"] == {"grafana_folder": "StockPipeline"}
        kubernetes_validate.validate(each, "1.34", strict=True)


def test_the_sidecar_may_look_for_other_labels() -> None:
    asked = {"dashboards": {"labels": {"for": "grafana"}, "annotations": {"folder": "Desk"}}}
    for each in shown_in(render(asked)):
        assert each["metadata"]["labels"]["for"] == "grafana"
        assert each["metadata"]["annotations"]["folder"] == "Desk"


def test_dashboards_come_to_the_operator_of_grafana_byte_for_byte() -> None:
    objects = render({"dashboards": {"as": "grafana-operator", "instanceLabels": {"desk": "one"}}})
    found = [each for each in objects if each["kind"] == "GrafanaDashboard"]
    assert {each["spec"]["json"] for each in found} == set(dashboards().values())
    assert not shown_in(objects)
    for each in found:
        assert each["spec"]["folder"] == "StockPipeline"
        assert each["spec"]["instanceSelector"]["matchLabels"]["desk"] == "one"


def test_dashboards_may_be_left_out() -> None:
    objects = render({"dashboards": {"as": "none"}})
    assert not shown_in(objects)
    assert "GrafanaDashboard" not in {each["kind"] for each in objects}


def test_nothing_of_prometheus_operator_is_shipped_unless_it_is_asked_for() -> None:
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
