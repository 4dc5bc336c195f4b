"""Nights in the cluster: scheduled by Airflow, done in pods, survived by kills, seen in the resource."""

from __future__ import annotations

import json

import pytest

from cluster.deploy import BACKENDS_NAMESPACE as BACKENDS
from cluster.shell import wait_until
from tests.airflow.killer import STEP, killing
from tests.airflow.nights import NIGHT_TIMEOUT, STEPS, STOCKS, await_success, histories, jobs, night, redis
from tests.e2e.conftest import Deployment

APPEAR_TIMEOUT = 600.0


def paused(deployment: Deployment) -> dict[str, bool]:
    """Ask Airflow which DAGs are paused, from inside its pod."""
    program = (
        "import json; from airflow_dags.airflow_api import AirflowApi; "
        "print(json.dumps(AirflowApi('http://127.0.0.1:8080').paused('stockpipeline')))"
    )
    words = ("exec", "--namespace", BACKENDS, "airflow-0", "--container", "companion", "--", "python", "-c")
    return dict(json.loads(deployment.kubectl(*words, program)))


@pytest.mark.timeout(2 * NIGHT_TIMEOUT)
def test_a_night_goes_from_nasdaq_to_redis_though_a_pod_of_every_step_is_killed(
    deployment: Deployment,
) -> None:
    example = night("night")
    # Slowly, so that also the shortest step is killed before it is over.
    example["spec"]["batch"]["resources"] = {"requests": {"cpu": "50m"}, "limits": {"cpu": "100m"}}
    session = example["spec"]["batch"]["schedule"]["start"]
    with killing(deployment, "night") as killed:
        deployment.apply(example)
        message = await_success(deployment, "night")
    assert f"session {session} is in the store and in Redis" in message
    done = jobs(deployment, "night")
    assert {job["metadata"]["labels"][STEP] for job in done} == STEPS
    assert killed == {job["metadata"]["name"] for job in done}
    for job in done:
        assert job["status"]["succeeded"] == 1
        assert job["status"].get("failed", 0) >= 1, f"{job['metadata']['labels'][STEP]} was not killed"
        pod = job["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        # No step has a token but the one that may ask for Spark's pods.
        asks = job["metadata"]["labels"][STEP] == "compute_indicators"
        assert pod["automountServiceAccountToken"] is asks

    assert histories(deployment, "night") == STOCKS
    assert set(example["spec"]["universe"]["symbols"]) < STOCKS, "more than is followed live"
    # The histories that the detector begins with, and those of the night, at once though its pod was killed.
    assert redis(deployment, "get", "default.night:history-generation") == ["2"]
    assert deployment.value("min(stockpipeline_airflow_healthy)") == 1.0
    logs = deployment.kubectl("logs", "deployment/night-detector", "--tail=-1")
    assert "histories have changed" in logs, "the detector has warmed up from what the night brought"


@pytest.mark.timeout(2 * NIGHT_TIMEOUT)
def test_a_night_with_the_engine_spark_computes_in_its_pods(deployment: Deployment) -> None:
    example = night("sparked")
    example["spec"]["batch"] |= {"engine": "Spark", "spark": {"executor": {"instances": 1}}}
    deployment.apply(example)
    await_success(deployment, "sparked")
    selector = "app.kubernetes.io/component=spark-driver,stockpipeline.dev/pipeline=sparked"
    (job,) = deployment.get("jobs", "--selector", selector)["items"]
    assert job["status"]["succeeded"] == 1
    (step,) = (one for one in jobs(deployment, "sparked") if "compute" in one["metadata"]["labels"][STEP])
    report = deployment.kubectl("logs", f"job/{step['metadata']['name']}").splitlines()[-1]
    assert json.loads(report)["job"] == job["metadata"]["name"]
    assert histories(deployment, "sparked") == STOCKS


@pytest.mark.timeout(4 * APPEAR_TIMEOUT)
def test_a_suspended_pipeline_has_its_dags_paused_and_one_that_is_gone_has_none(
    deployment: Deployment,
) -> None:
    example = night("brief")
    example["spec"]["suspend"] = True
    deployment.apply(example)
    names = ("brief_daily_pipeline", "brief_watchlist_sync")
    wait_until(
        lambda: [paused(deployment).get(name) for name in names] == [True, True],
        APPEAR_TIMEOUT,
        "Airflow has the DAGs, paused",
    )
    example["spec"]["batch"]["schedule"]["start"] = "2035-01-02"  # nothing to make up for
    example["spec"]["suspend"] = False
    deployment.apply(example)
    wait_until(
        lambda: [paused(deployment).get(name) for name in names] == [False, False],
        APPEAR_TIMEOUT,
        "Airflow runs the DAGs",
    )
    deployment.kubectl("delete", "stockpipeline", "brief", "--timeout=300s")
    wait_until(
        lambda: not set(names) & set(paused(deployment)), APPEAR_TIMEOUT, "Airflow has the DAGs no longer"
    )
