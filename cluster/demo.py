"""`make up SOURCE=kis-demo`: stand-ins for KIS, Yahoo and NASDAQ in the cluster, and a live pipeline on them.

With `AIRFLOW=1` also one with a nightly batch. The stand-ins' code is that of the tests, in a ConfigMap: no
image has it. Nothing but the demo's pipelines reaches them, and they reach nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.backend import Cluster
from cluster.deploy import ROLLOUT_TIMEOUT, apply_pipeline
from cluster.imagebuild import Image
from cluster.observe import apply, kubectl
from cluster.progress import Progress
from cluster.settings import Settings

NAMESPACE = "stockpipeline-stand-ins"
PORT = 9443
EXAMPLE = Path("examples/kis-demo.yaml")
EXAMPLE_KEY = ("default", "kis-demo")
NIGHTLY = Path("examples/nightly.yaml")
NIGHTLY_KEY = ("default", "nightly")
STAND_INS = ("kis", "yahoo", "nasdaq")
CODE = "stand-ins"
# What the stand-in knows, and nobody else.
SECRET = {"appkey": "test-appkey", "appsecret": "test-appsecret"}
# In a pod, which the policy below keeps for the demo alone.
_ANY = "0.0.0.0"  # noqa: S104
_TMP = "/tmp"  # noqa: S108
_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def kis_demo(settings: Settings, cluster: Cluster, images: Mapping[str, Image], progress: Progress) -> None:
    """Run the stand-ins, apply the example on them, and wait until it is ready."""
    with progress.step("Run stand-ins for KIS, Yahoo and NASDAQ"):
        code = {
            path.name: path.read_text(encoding="utf-8")
            for path in sorted((settings.repo / "tests" / "stand_ins").glob("*.py"))
        }
        items = manifests(images["services"].reference, code)
        apply(cluster, {"apiVersion": "v1", "kind": "List", "items": items})
        for name in STAND_INS:
            kubectl(
                cluster, "rollout", "status", f"deployment/{name}", "--namespace", NAMESPACE,
                f"--timeout={ROLLOUT_TIMEOUT:.0f}s", timeout=ROLLOUT_TIMEOUT + 30,
            )  # fmt: skip
    apply_pipeline(settings, cluster, progress, EXAMPLE, EXAMPLE_KEY)
    if settings.airflow:
        apply_pipeline(settings, cluster, progress, NIGHTLY, NIGHTLY_KEY)


def manifests(image: str, code: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what the demo needs beside its pipeline; ``code`` is the package of the stand-ins, by file."""
    namespace, pipeline = EXAMPLE_KEY
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": CODE, "namespace": NAMESPACE},
            "data": {**code},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": pipeline, "namespace": namespace},
            "stringData": SECRET,
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "only-the-demo", "namespace": NAMESPACE},
            "spec": {
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [
                    {
                        "from": [
                            {
                                "namespaceSelector": {
                                    "matchLabels": {"kubernetes.io/metadata.name": namespace}
                                },
                                "podSelector": {
                                    "matchExpressions": [
                                        {
                                            "key": "stockpipeline.dev/pipeline",
                                            "operator": "In",
                                            "values": [pipeline, NIGHTLY_KEY[1]],
                                        },
                                        {
                                            "key": "app.kubernetes.io/component",
                                            "operator": "In",
                                            "values": ["producer", "batch"],
                                        },
                                    ]
                                },
                            }
                        ],
                        "ports": [{"protocol": "TCP", "port": PORT}],
                    }
                ],
            },
        },
        *(part for name in STAND_INS for part in stand_in(name, image)),
    ]


def stand_in(name: str, image: str) -> list[dict[str, Any]]:
    """Return the Deployment and the Service of a stand-in; its code is in a ConfigMap of its namespace."""
    labels = {"app.kubernetes.io/name": "stand-in", "app.kubernetes.io/component": name}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/opt/stockpipeline/bin/python", "-m", "tests.stand_ins", name],
        "args": ["--host", _ANY, "--port", str(PORT), "--ticks-per-second", "1"],
        "workingDir": "/code",
        "env": [{"name": "HOME", "value": _TMP}],
        "ports": [{"name": "api", "containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": "api"}, "periodSeconds": 1},
        "resources": {
            "requests": {"cpu": "20m", "memory": "96Mi"},
            "limits": {"cpu": "500m", "memory": "256Mi"},
        },
        "securityContext": _RESTRICTED,
        "volumeMounts": [
            {"name": "code", "mountPath": "/code/tests/stand_ins", "readOnly": True},
            {"name": "tmp", "mountPath": _TMP},
        ],
    }
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 2,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "code", "configMap": {"name": CODE}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
        ],
    }
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"name": "api", "port": PORT, "targetPort": "api"}]},
        },
    ]
