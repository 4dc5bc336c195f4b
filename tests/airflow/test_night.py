"""A night in the cluster: scheduled by Airflow, done in pods, survived by kills, seen in the resource."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import yaml

from cluster.deploy import BACKENDS_NAMESPACE as BACKENDS
from cluster.settings import REPO
from cluster.shell import wait_until
from stockpipeline.market.exchange_hours import ExchangeHours
from tests.e2e.conftest import Deployment
from tests.stand_ins.nasdaq import A_FEW

# A task of Airflow takes seconds to begin, and there are a dozen; a busy machine is given its time.
NIGHT_TIMEOUT = 1500.0
APPEAR_TIMEOUT = 600.0
STEP = "stockpipeline.dev/step"


def night() -> dict[str, Any]:
    """The example, under another name, with the last session that is over as its first."""
    found: dict[str, Any] = yaml.safe_load((REPO / "examples" / "nightly.yaml").read_text())
    found["metadata"]["name"] = "night"
    session = ExchangeHours.of("XNAS").last_close(datetime.now(UTC)).date()
    found["spec"]["batch"]["schedule"] = {"afterClose": "1s", "start": session.isoformat()}
    return found


def pods(deployment: Deployment, step: str) -> list[dict[str, Any]]:
    selector = f"{STEP}={step},stockpipeline.dev/pipeline=night"
    found: list[dict[str, Any]] = deployment.get("pods", "--selector", selector)["items"]
    return found


def running(deployment: Deployment, step: str) -> str | None:
    """The pod of a step that runs just now."""
    for pod in pods(deployment, step):
        if pod["status"]["phase"] == "Running":
            return str(pod["metadata"]["name"])
    return None


def paused(deployment: Deployment) -> dict[str, bool]:
    """Ask Airflow which DAGs are paused, from inside its pod."""
    program = (
        "import json; from airflow_dags.airflow_api import AirflowApi; "
        "print(json.dumps(AirflowApi('http://127.0.0.1:8080').paused('stockpipeline')))"
    )
    words = ("exec", "--namespace", BACKENDS, "airflow-0", "--container", "companion", "--", "python", "-c")
    return dict(json.loads(deployment.kubectl(*words, program)))


def succeeded(deployment: Deployment) -> dict[str, Any]:
    return deployment.condition("default", "night", "BatchSucceeded") or {"status": "", "message": ""}


def redis(deployment: Deployment, *words: str) -> list[str]:
    asked = ("exec", "--namespace", BACKENDS, "redis-0", "--container", "redis", "--", "redis-cli", *words)
    return deployment.kubectl(*asked).split()


def test_a_night_goes_from_yahoo_to_redis_over_a_killed_pod(deployment: Deployment) -> None:
    example = night()
    deployment.apply(example)
    session = example["spec"]["batch"]["schedule"]["start"]

    def killed() -> bool:
        name = running(deployment, "merge_downloads")
        if name is None:
            return False
        deployment.kubectl("delete", "pod", name, "--grace-period=0", "--force")
        return True

    wait_until(killed, NIGHT_TIMEOUT, "the pod of a step runs, and is killed")
    wait_until(
        lambda: succeeded(deployment)["status"] == "True",
        NIGHT_TIMEOUT,
        "BatchSucceeded is True (see `kubectl describe stockpipeline night`)",
    )
    assert f"session {session} is in the store and in Redis" in succeeded(deployment)["message"]
    symbols = set(redis(deployment, "hkeys", "default.night:history-digests"))
    assert symbols == {stock.symbol for stock in A_FEW if not stock.etf and not stock.test}
    assert symbols > set(example["spec"]["universe"]["symbols"]), "more than is followed live"
    assert redis(deployment, "get", "default.night:history-generation") == ["1"]
    for pod in pods(deployment, "sync_redis"):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    logs = deployment.kubectl("logs", "deployment/night-detector", "--tail=-1")
    assert "histories have changed" in logs, "the detector has warmed up from what the night brought"


def test_a_suspended_pipeline_has_its_dags_paused_and_one_that_is_gone_has_none(
    deployment: Deployment,
) -> None:
    example = night()
    example["metadata"]["name"] = "brief"
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
