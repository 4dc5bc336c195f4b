"""A cluster of the tests' own whose Alertmanager posts to a webhook in it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from cluster.deploy import BACKENDS_NAMESPACE, BACKENDS_RELEASE
from cluster.settings import REPO
from tests.alerts import webhook
from tests.clusters import deployed
from tests.e2e.conftest import Deployment


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """The product on that cluster; removed at the end."""
    with deployed({"CLUSTER": "node", "CLUSTER_NAME": "stockpipeline-alerts"}) as product:
        yield product


@pytest.fixture(scope="session")
def services_image(deployment: Deployment) -> str:
    """The image of the services, which has a Python."""
    pod = deployment.get("deployment", "demo-detector", "--namespace", "default")["spec"]["template"]["spec"]
    return str(pod["containers"][0]["image"])


@pytest.fixture(scope="session")
def told(deployment: Deployment, services_image: str) -> webhook.Webhook:
    """What Alertmanager posts."""
    items = webhook.manifests(services_image)
    deployment.kubectl(
        "apply", "--filename", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    )
    rollout = ("rollout", "status", "--timeout=90s")
    deployment.kubectl(*rollout, "deployment/webhook", "--namespace", webhook.NAMESPACE)
    deployment.helm(
        "upgrade", BACKENDS_RELEASE, str(REPO / "charts/stockpipeline-backends"),
        "--namespace", BACKENDS_NAMESPACE, "--reuse-values",
        "--set", f"alertmanager.webhookUrl={webhook.URL}",
    )  # fmt: skip
    deployment.kubectl(*rollout, "deployment/alertmanager", "--namespace", BACKENDS_NAMESPACE)
    return webhook.Webhook(deployment)
