"""A cluster of the tests' own whose Alertmanager posts to a webhook in it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from cluster.deploy import BACKENDS_NAMESPACE, BACKENDS_RELEASE, release
from cluster.settings import Settings
from cluster.up import cluster_of
from tests.alerts import webhook
from tests.clusters import deployed
from tests.e2e.conftest import Deployment
from tests.listener import Listener

CHOICES = {"CLUSTER": "node", "CLUSTER_NAME": "stockpipeline-alerts"}


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """The product on that cluster; removed at the end."""
    with deployed(CHOICES) as product:
        yield product


@pytest.fixture(scope="session")
def told(deployment: Deployment) -> webhook.Webhook:
    """What Alertmanager posts."""
    deployment.create_namespace(webhook.NAMESPACE)
    listener = Listener(deployment, webhook.NAMESPACE, "webhook", 8080, deployment.services_image())
    where = ("--namespace", BACKENDS_NAMESPACE)
    values = json.loads(deployment.helm("get", "values", BACKENDS_RELEASE, *where, "--output=json"))
    values["alertmanager"] = {"webhookUrl": f"{listener.url}/alerts"}
    settings = Settings.from_environment({**os.environ, **CHOICES})
    chart = "stockpipeline-backends"
    release(settings, cluster_of(settings), chart, BACKENDS_RELEASE, BACKENDS_NAMESPACE, values)
    deployment.kubectl("rollout", "status", "--timeout=90s", "deployment/alertmanager", *where)
    return webhook.Webhook(listener)
