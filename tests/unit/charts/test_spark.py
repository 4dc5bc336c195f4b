"""What a pipeline's release brings for the engine Spark: the least rights, and a network of its own."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

from stockpipeline.batch.spark_job import (
    BLOCK_PORT,
    DRIVER_PORT,
    executor_template,
    spark_job,
    spark_settings,
)
from stockpipeline.batch.spark_request import SparkVolume
from tests.unit.batch.spark_requests import request
from tests.unit.charts.combinations import check
from tests.unit.charts.test_operator import bound_rules
from tests.unit.charts.test_operator import render as render_operator
from tests.unit.charts.test_stockpipeline import render

Object = dict[str, Any]
SPARK = {"enabled": True, "image": "spark:1"}
REQUEST = request(
    pipeline="demo",
    service_account="demo-spark",
    volume=SparkVolume("demo-batch", PurePosixPath("/data")),
)


def brought() -> dict[tuple[str, str], Object]:
    """What is there with the engine and not without it."""
    without = {(each["kind"], each["metadata"]["name"]) for each in render()}
    found = {(each["kind"], each["metadata"]["name"]): each for each in render({"spark": SPARK})}
    return {key: each for key, each in found.items() if key not in without}


def rights(objects: dict[tuple[str, str], Object], role: str) -> set[tuple[str, str]]:
    rules = objects["Role", role]["rules"]
    return {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}


def test_only_the_engine_brings_them() -> None:
    for each in brought().values():
        check(each)
    assert set(brought()) == {
        *((kind, "demo-spark") for kind in ("ServiceAccount", "Role", "RoleBinding")),
        *((kind, "demo-spark-submit") for kind in ("ServiceAccount", "Role", "RoleBinding")),
        ("NetworkPolicy", "demo-spark-driver"),
        ("NetworkPolicy", "demo-spark-executor"),
    }


def test_a_driver_may_handle_pods_and_who_submits_may_make_jobs() -> None:
    objects = brought()
    driver, submit = rights(objects, "demo-spark"), rights(objects, "demo-spark-submit")
    assert {resource for resource, _ in driver} == {"pods"}
    assert {"create", "delete", "watch"} <= {verb for _, verb in driver}
    assert ("jobs", "create") in submit
    assert not {verb for resource, verb in submit if resource.startswith("pods")} & {"create", "delete"}
    (named,) = [
        rule
        for rule in objects["Role", "demo-spark-submit"]["rules"]
        if "serviceaccounts" in rule["resources"]
    ]
    assert named["resourceNames"] == [REQUEST.service_account]
    for account in ("demo-spark", "demo-spark-submit"):
        binding = objects["RoleBinding", account]
        assert binding["roleRef"]["kind"] == "Role"
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "desk"}]
        assert objects["ServiceAccount", account]["automountServiceAccountToken"] is False


def test_the_operator_has_the_rights_that_it_gives() -> None:
    operator = bound_rules(render_operator({"spark": {"image": {"tag": "3"}}}))
    held = {(resource, verb) for rule in operator for resource in rule["resources"] for verb in rule["verbs"]}
    objects = brought()
    assert rights(objects, "demo-spark") | rights(objects, "demo-spark-submit") <= held


def test_airflow_is_told_how_to_ask_for_it() -> None:
    batch = {"enabled": True, "config": "{}", "dag": {"name": "demo"}}

    def told(values: Object) -> Object:
        objects = render({"batch": batch, **values})
        data: Object = next(
            each["data"]
            for each in objects
            if (each["kind"], each["metadata"]["name"]) == ("ConfigMap", "demo-batch")
        )
        return data

    assert json.loads(told({"spark": SPARK})["spark.json"]) == {
        "account": "demo-spark-submit",
        "image": "spark:1",
        "volume": "demo-batch:/var/lib/stockpipeline/batch",
    }
    assert "spark.json" not in told({})


def test_the_network_is_for_the_pods_and_ports_that_the_job_has() -> None:
    objects, settings = brought(), spark_settings(REQUEST)
    prefix = "spark.kubernetes.executor.label."
    pods = {
        "driver": spark_job(REQUEST, None)["spec"]["template"]["metadata"]["labels"],
        "executor": {
            key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)
        },
    }
    for component, labels in pods.items():
        spec = objects["NetworkPolicy", f"demo-spark-{component}"]["spec"]
        assert spec["podSelector"]["matchLabels"].items() <= labels.items()
        (ingress,) = spec["ingress"]
        assert [port["port"] for port in ingress["ports"]] == [DRIVER_PORT, BLOCK_PORT]
        (peer,) = ingress["from"]
        assert peer["podSelector"]["matchLabels"].items() <= labels.items()
        (expression,) = peer["podSelector"]["matchExpressions"]
        assert labels[expression["key"]] in expression["values"]
    executor = objects["NetworkPolicy", "demo-spark-executor"]["spec"]
    assert executor["policyTypes"] == ["Ingress", "Egress"]
    assert executor["egress"][0]["to"] == executor["ingress"][0]["from"]
    assert executor_template(REQUEST)["spec"]["automountServiceAccountToken"] is False


def test_without_policies_there_are_none() -> None:
    objects = render({"spark": SPARK, "networkPolicy": {"enabled": False}})
    assert [each for each in objects if each["kind"] == "NetworkPolicy"] == []
