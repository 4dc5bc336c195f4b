"""The Job of the engine Spark: its name, and what Kubernetes and Spark are told."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

import kubernetes_validate
import pytest

from stockpipeline.api import DEFAULT_INDICATORS, Indicator, quantity
from stockpipeline.batch.spark_job import TooSmall, executor_template, spark_job, spark_settings
from stockpipeline.batch.spark_request import SparkVolume
from tests.unit.batch.spark_requests import REQUEST, request, terms

OWNER = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"name": "nasdaq-spark", "uid": "0c4b2c0e-0000-4000-8000-000000000000"},
}
SCHEDULED = terms(
    nodeSelector={"disk": "fast"},
    tolerations=[{"key": "desk", "operator": "Exists"}],
    spark={"driver": {"memory": "2Gi"}, "executor": {"instances": 3, "cores": 4, "memory": "8Gi"}},
)


def driver(job: dict[str, Any]) -> dict[str, Any]:
    (found,) = job["spec"]["template"]["spec"]["containers"]
    return dict(found)


def variable(job: dict[str, Any], name: str) -> str:
    (found,) = (one["value"] for one in driver(job)["env"] if one["name"] == name)
    return str(found)


def test_the_same_request_has_the_same_name_and_any_other_has_another() -> None:
    others = [
        request(pipeline="other"),
        request(session=REQUEST.session + 1),
        request(indicators=(*DEFAULT_INDICATORS, Indicator(name="again", function="RSI"))),
        request(lake=PurePosixPath("/data/other")),
        request(inputs="4567"),
        request(anew=True),
        request(image="localhost/stockpipeline/spark:2"),
        request(volume=SparkVolume("other", PurePosixPath("/data"))),
        request(terms=SCHEDULED),
    ]
    assert request().job_name == REQUEST.job_name
    assert REQUEST.job_name.startswith("nasdaq-compute-20261120-")
    assert len({REQUEST.job_name, *(other.job_name for other in others)}) == 1 + len(others)
    # What has nothing to do with the computation.
    assert request(terms=terms(minimumCoverage=0.5)).job_name == REQUEST.job_name


@pytest.mark.parametrize("name", ["n", "n" * 53, "n" * 31 + "-" + "n" * 21])
def test_names_leave_room_for_those_of_pods(name: str) -> None:
    job = request(pipeline=name).job_name
    assert len(f"{job}-x1y2z") <= 63
    assert "--" not in job


@pytest.mark.parametrize("path", ["/dat", "/data/lake/deeper", "/other"])
def test_a_lake_that_pods_would_not_see_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=f"/data/lake is not below {path}"):
        request(volume=SparkVolume("nasdaq-batch", PurePosixPath(path)))


@pytest.mark.parametrize("text", ["claim", "claim:", ":/data", "claim:data"])
def test_what_is_no_volume_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="CLAIM:/PATH"):
        SparkVolume.parse(text)
    assert SparkVolume.parse("claim:/data") == SparkVolume("claim", PurePosixPath("/data"))


@pytest.mark.parametrize("asked", [REQUEST, request(terms=SCHEDULED, anew=True)])
def test_objects_are_valid_and_keep_to_the_restricted_profile(asked: Any) -> None:
    job = spark_job(asked, OWNER)
    kubernetes_validate.validate(job, "1.34", strict=True)
    template = executor_template(asked)
    (executor,) = template["spec"]["containers"]
    kubernetes_validate.validate({**template, "metadata": {"name": "x"}}, "1.34", strict=True)
    for pod, container in ((job["spec"]["template"]["spec"], driver(job)), (template["spec"], executor)):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert template["spec"]["automountServiceAccountToken"] is False
    assert json.loads(variable(job, "EXECUTOR_TEMPLATE")) == template


def test_the_job_goes_with_its_owner_and_executors_with_their_driver() -> None:
    job = spark_job(REQUEST, OWNER)
    (reference,) = job["metadata"]["ownerReferences"]
    assert (reference["name"], reference["uid"]) == ("nasdaq-spark", OWNER["metadata"]["uid"])  # type: ignore[index]
    assert "ownerReferences" not in spark_job(REQUEST, None)["metadata"]
    # Spark makes the driver's pod the owner of the executors when it is told its name.
    assert spark_settings(REQUEST)["spark.kubernetes.driver.pod.name"] == "$(POD_NAME)"
    assert driver(job)["env"][0]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


def test_a_killed_driver_is_started_again_and_broken_data_are_not_tried_again() -> None:
    spec = spark_job(REQUEST, None)["spec"]
    assert spec["backoffLimit"] > 0
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    actions = [rule["action"] for rule in spec["podFailurePolicy"]["rules"]]
    assert actions == ["FailJob", "Ignore"]
    assert spec["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [3]
    assert spec["activeDeadlineSeconds"] == 3600


def test_pods_have_the_sizes_of_the_spec() -> None:
    asked = request(terms=SCHEDULED)
    settings = spark_settings(asked)
    assert (settings["spark.executor.instances"], settings["spark.executor.cores"]) == ("3", "4")
    # The driver's Java is started by its pod, that of executors by Spark.
    heaps = (variable(spark_job(asked, None), "SPARK_DRIVER_MEMORY"), settings["spark.executor.memory"])
    for heap, whole in zip(heaps, ("2Gi", "8Gi"), strict=True):
        assert int(heap.removesuffix("m")) == quantity(whole) / 2**20 / 2
    heap, rest = settings["spark.executor.memory"], settings["spark.executor.memoryOverhead"]
    assert sum(int(text.removesuffix("m")) for text in (heap, rest)) == 8192
    assert driver(spark_job(asked, None))["resources"]["limits"] == {"cpu": "1", "memory": "2Gi"}
    assert settings["spark.kubernetes.executor.node.selector.disk"] == "fast"
    assert executor_template(asked)["spec"]["tolerations"] == [{"key": "desk", "operator": "Exists"}]
    pod = spark_job(asked, None)["spec"]["template"]["spec"]
    assert (pod["nodeSelector"], len(pod["tolerations"])) == ({"disk": "fast"}, 1)


def test_a_pod_that_java_would_not_fit_in_is_refused_by_name() -> None:
    small = request(terms=terms(spark={"executor": {"memory": "512Mi"}}))
    with pytest.raises(TooSmall, match=r"executor\.memory is 512Mi.*768Mi"):
        spark_settings(small)


def test_driver_and_executors_see_the_same_volume_at_the_same_path() -> None:
    settings = spark_settings(REQUEST)
    volume = "spark.kubernetes.executor.volumes.persistentVolumeClaim.lake"
    assert settings[f"{volume}.options.claimName"] == "nasdaq-batch"
    assert settings[f"{volume}.mount.path"] == "/data"
    pod = spark_job(REQUEST, None)["spec"]["template"]["spec"]
    assert pod["volumes"][1]["persistentVolumeClaim"] == {"claimName": "nasdaq-batch"}
    assert pod["containers"][0]["volumeMounts"][1]["mountPath"] == "/data"
    assert settings["spark.eventLog.dir"] == "file:///data/spark-events"


def test_the_driver_is_told_exactly_what_to_compute() -> None:
    words = driver(spark_job(request(anew=True), None))["args"]
    asked = words[words.index("--indicators") + 1]
    found = tuple(Indicator.model_validate(one) for one in json.loads(asked))
    assert found == DEFAULT_INDICATORS
    assert words[words.index("--lake") + 1] == "/data/lake"
    assert "--anew" in words
    assert "--anew" not in driver(spark_job(REQUEST, None))["args"]
