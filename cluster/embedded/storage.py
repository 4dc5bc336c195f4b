"""PersistentVolumeClaims: the default StorageClass and the program that makes folders for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

USER = "stockpipeline:storage-provisioner"
_PROVISIONER = "stockpipeline.dev/local-folder"


def command(programs: Path, kubeconfig: Path, volumes: Path, node: str) -> list[str]:
    """Return the command of the provisioner, which keeps every volume in a folder of its own in `volumes`."""
    return [
        f"{programs}/storage-provisioner",
        f"--kubeconfig={kubeconfig}",
        f"--root={volumes}",
        f"--node={node}",
        f"--name={_PROVISIONER}",
    ]


def objects() -> list[dict[str, Any]]:
    """Return the StorageClass `standard`, the default one, and what the provisioner may do."""
    labels = {
        "app.kubernetes.io/name": "storage-provisioner",
        "app.kubernetes.io/part-of": "stockpipeline-node",
    }
    read = ["get", "list", "watch"]
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "standard",
                "labels": labels,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": _PROVISIONER,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": USER, "labels": labels},
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["persistentvolumes"],
                    "verbs": [*read, "create", "update", "patch", "delete"],
                },
                {
                    "apiGroups": [""],
                    "resources": ["persistentvolumeclaims"],
                    "verbs": [*read, "update", "patch"],
                },
                {"apiGroups": [""], "resources": ["nodes"], "verbs": read},
                {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": read},
                {
                    "apiGroups": ["", "events.k8s.io"],
                    "resources": ["events"],
                    "verbs": ["create", "update", "patch"],
                },
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": USER, "labels": labels},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": USER},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
        },
    ]
