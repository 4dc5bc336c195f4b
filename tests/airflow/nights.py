"""A pipeline with a nightly batch in the cluster, and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import yaml

from cluster.deploy import BACKENDS_NAMESPACE as BACKENDS
from cluster.settings import REPO
from cluster.shell import wait_until
from stockpipeline.market.exchange_hours import ExchangeHours
from tests.airflow.killer import STEP
from tests.e2e.conftest import Deployment
from tests.stand_ins.nasdaq import A_FEW

# A task of Airflow takes seconds to begin, and there are a dozen; a busy machine is given its time.
NIGHT_TIMEOUT = 1500.0
STOCKS = {stock.symbol for stock in A_FEW if not stock.etf and not stock.test}
STEPS = {
    "collect_symbols", "download_ohlcv", "coverage_gate", "merge_downloads", "compute_indicators",
    "scan_watchlist", "load_store", "pull_replica", "sync_redis",
}  # fmt: skip


def night(name: str) -> dict[str, Any]:
    """The example, under another name, with the last session that is over as its first."""
    found: dict[str, Any] = yaml.safe_load((REPO / "examples" / "nightly.yaml").read_text())
    found["metadata"]["name"] = name
    session = ExchangeHours.of("XNAS").last_close(datetime.now(UTC)).date()
    found["spec"]["batch"]["schedule"] = {"afterClose": "1s", "start": session.isoformat()}
    return found


def await_success(deployment: Deployment, name: str) -> str:
    """Wait for BatchSucceeded, return what it says; a run that has failed for good is not waited for."""
    found: dict[str, Any] = {}

    def ended() -> bool:
        found.update(deployment.condition("default", name, "BatchSucceeded") or {"status": "Unknown"})
        return bool(found["status"] != "Unknown")

    wait_until(ended, NIGHT_TIMEOUT, f"the night {name} ends")
    assert found["status"] == "True", found["message"]
    return str(found["message"])


def jobs(deployment: Deployment, name: str) -> list[dict[str, Any]]:
    """The Jobs of a pipeline's steps."""
    found: list[dict[str, Any]] = deployment.get(
        "jobs", "--selector", f"{STEP},stockpipeline.dev/pipeline={name}"
    )["items"]
    return found


def histories(deployment: Deployment, name: str) -> set[str]:
    return set(redis(deployment, "hkeys", f"default.{name}:history-digests"))


def redis(deployment: Deployment, *words: str) -> list[str]:
    asked = ("exec", "--namespace", BACKENDS, "redis-0", "--container", "redis", "--", "redis-cli", *words)
    return deployment.kubectl(*asked).split()
