"""Server-side apply of an object of a release, as Helm would do it."""

from stockpipeline_operator.helm.releases import field_manager
from stockpipeline_operator.kube.client import KubeClient, Object
from stockpipeline_operator.kube.resources import owned_type


def marked(wanted: Object, namespace: str, release: str) -> Object:
    """An object as the chart made it, with the marks by which Helm knows its objects."""
    metadata = wanted["metadata"]
    return {
        **wanted,
        "metadata": {
            **metadata,
            "namespace": namespace,
            "labels": {**metadata.get("labels", {}), "app.kubernetes.io/managed-by": "Helm"},
            "annotations": {
                **metadata.get("annotations", {}),
                "meta.helm.sh/release-name": release,
                "meta.helm.sh/release-namespace": namespace,
            },
        },
    }


def apply(client: KubeClient, wanted: Object) -> Object:
    """Create the marked object or take its fields back; return it as the server has it now.

    Under Helm's own name in managedFields: another would be a second owner of the fields, and a conflict at
    the next upgrade.
    """
    metadata = wanted["metadata"]
    path = owned_type(wanted["kind"]).path(metadata["namespace"], metadata["name"])
    return client.apply(path, wanted, field_manager())
