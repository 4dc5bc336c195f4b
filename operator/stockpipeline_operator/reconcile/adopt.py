"""Server-side apply of an object of a release, as Helm would do it."""

from stockpipeline_operator.helm.releases import field_manager
from stockpipeline_operator.kube.client import KubeClient, Object
from stockpipeline_operator.reconcile.observe import resource_type
from stockpipeline_operator.reconcile.state import ObjectRef


def apply(client: KubeClient, wanted: Object, namespace: str, release: str) -> None:
    """Create the object or take its fields back.

    Under Helm's own name in managedFields, and with the marks by which Helm knows its objects: anything else
    would be a second owner of the fields, and a conflict at the next upgrade.
    """
    metadata = wanted["metadata"]
    marked = {
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
    path = resource_type(ObjectRef(wanted["kind"], metadata["name"])).path(namespace, metadata["name"])
    client.apply(path, marked, field_manager())
