"""Airflow's parts in pods of their own, on a real Postgres: a night, and who may ask their API."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest

from cluster import deploy
from cluster.deploy import BACKENDS_NAMESPACE as BACKENDS
from cluster.embedded.addresses import NODE_IP
from cluster.embedded.layout import machine_name
from cluster.imagebuild import build_all
from cluster.imagebuild.recipes import USUAL
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.shell import wait_until
from cluster.up import cluster_of
from tests.airflow.conftest import CHOICES
from tests.airflow.nights import NIGHT_TIMEOUT, STEPS, STOCKS, await_success, histories, jobs, night
from tests.e2e.conftest import Deployment
from tests.integration.servers.postgres import running_server
from tests.spark.desk import PATIENCE

SECRET = "apart"
# In the scheduler's pod: prints the status and what is said, without a token or with that of a user.
ASK = """
import json, sys, urllib.error, urllib.request
path, user, password = sys.argv[1:]
def ask(path, body=None, **headers):
    url = "http://airflow-api-server:8080" + path
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
if not user:
    print(json.dumps(ask(path)))
else:
    found = ask("/auth/token", json.dumps({"username": user, "password": password}).encode())
    if found[0] == 201:
        found = ask(path, Authorization="Bearer " + found[1]["access_token"])
    print(json.dumps(found))
"""


@dataclass(frozen=True)
class Apart:
    """The parts, and the passwords of those who may ask them."""

    deployment: Deployment
    passwords: dict[str, str]

    def ask(self, path: str, user: str = "", password: str | None = None) -> tuple[int, Any]:
        """Return the status and the answer of the API server to somebody in the cluster."""
        known = self.passwords.get(user, "") if password is None else password
        where = ("--namespace", BACKENDS, "airflow-scheduler-0", "--container", "scheduler")
        said = self.deployment.kubectl("exec", *where, "--", "python", "-c", ASK, path, user, known)
        status, answer = json.loads(said.splitlines()[-1])
        return status, answer


@pytest.fixture(scope="module")
def apart(deployment: Deployment) -> Iterator[Apart]:
    """In place of the one pod; the pipelines of before are gone."""
    settings = Settings.from_environment({**os.environ, **CHOICES})
    cluster = cluster_of(settings)
    images = {image.name: image for image in build_all(settings, Progress(StringIO()), (*USUAL, "airflow"))}
    deployment.kubectl("delete", "stockpipelines", "nightly", "night", "sparked", "--ignore-not-found")
    passwords = {"admin": secrets.token_hex(16), "companion": secrets.token_hex(16)}
    with running_server(NODE_IP, ["nsenter", f"--net=/run/netns/{machine_name(settings.name)}"]) as database:
        data = {
            "database": database.url,
            "jwt-secret": secrets.token_urlsafe(48),
            "secret-key": secrets.token_hex(32),
            "fernet-key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            **{f"{user}-password": password for user, password in passwords.items()},
        }
        metadata = {"name": SECRET, "namespace": BACKENDS}
        deployment.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
        values = deploy.backends_values(settings, images)
        values["airflow"] |= {
            "database": {"name": SECRET, "key": "database"},
            "separate": {"enabled": True, "secret": SECRET},
        }
        values["networkPolicy"] = {"enabled": True}
        deploy.backends(settings, cluster, values)
        deploy.wait_for_rollout(cluster, BACKENDS)
        yield Apart(deployment, passwords)


def test_the_api_answers_those_who_log_in_and_nobody_else(apart: Apart) -> None:
    assert apart.ask("/api/v2/dags")[0] == 401
    assert apart.ask("/api/v2/dags", "admin", "guessed")[0] == 401
    assert apart.ask("/api/v2/dags", "admin")[0] == 200
    assert apart.ask("/api/v2/dags", "companion")[0] == 200
    assert apart.ask("/api/v2/variables", "companion")[0] == 403, "it may pause DAGs, and no more"
    assert apart.ask("/execution/variables/one")[0] == 401, "a task's token is asked for"


@pytest.mark.timeout(2 * NIGHT_TIMEOUT)
def test_a_night_goes_through_and_its_logs_are_found(apart: Apart) -> None:
    example = night("apart")
    apart.deployment.apply(example)
    message = await_success(apart.deployment, "apart")
    assert f"session {example['spec']['batch']['schedule']['start']} is in the store" in message
    assert {
        job["metadata"]["labels"]["stockpipeline.dev/step"] for job in jobs(apart.deployment, "apart")
    } == STEPS
    assert histories(apart.deployment, "apart") == STOCKS

    (run,) = apart.ask("/api/v2/dags/apart_daily_pipeline/dagRuns", "admin")[1]["dag_runs"]
    path = f"/api/v2/dags/apart_daily_pipeline/dagRuns/{run['dag_run_id'].replace('+', '%2B')}"
    status, log = apart.ask(f"{path}/taskInstances/coverage_gate/logs/1", "admin")
    assert status == 200
    assert "Job default/apart-batch-" in json.dumps(log), (
        "the scheduler has the log, and the API server gets it"
    )


def test_a_suspended_pipeline_is_paused_by_a_companion_that_logs_in(apart: Apart) -> None:
    example = night("apart")
    example["spec"]["suspend"] = True
    apart.deployment.apply(example)

    def paused() -> list[bool]:
        found = apart.ask("/api/v2/dags?tags=apart", "admin")[1]["dags"]
        return [one["is_paused"] for one in found]

    wait_until(lambda: paused() == [True, True], PATIENCE, "the DAGs are paused")
