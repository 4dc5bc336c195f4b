"""What the tests run on the embedded cluster: a web server with a volume, and somebody who calls it."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.cluster.probe_image import REFERENCE

NAMESPACE = "probe"
NODE_PORT = 30080
TEXT = "hello"


def manifests() -> str:
    """Return all objects, as JSON for `kubectl apply`."""
    items = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": NAMESPACE},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
        },
        _pod("web", ["serve", ":8080", TEXT], volume="data"),
        _pod("caller", ["serve", ":8080", "unused"]),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": NAMESPACE},
            "spec": {
                "type": "NodePort",
                "selector": {"app": "web"},
                "ports": [{"port": 80, "targetPort": 8080, "nodePort": NODE_PORT}],
            },
        },
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def privileged_pod() -> str:
    """Return a pod that the namespace's Pod Security level refuses."""
    pod = _pod("forbidden", ["serve", ":8080", "unused"])
    del pod["spec"]["securityContext"]
    return json.dumps(pod)


def _pod(name: str, args: list[str], volume: str | None = None) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": name,
        "image": REFERENCE,
        "imagePullPolicy": "IfNotPresent",
        "args": args,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"cpu": "500m", "memory": "64Mi"},
        },
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }
    spec: dict[str, Any] = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }
    if volume is not None:
        container["volumeMounts"] = [{"name": volume, "mountPath": "/data"}]
        spec["volumes"] = [{"name": volume, "persistentVolumeClaim": {"claimName": volume}}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
        "spec": spec,
    }
