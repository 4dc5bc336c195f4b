"""Server-side apply of an object of a release, as Helm would do it."""

from stockpipeline_operator.helm.releases import field_manager
from stockpipeline_operator.helm.revision import marked
from stockpipeline_operator.kube.client import KubeClient, Object
from stockpipeline_operator.kube.resources import owned_type

__all__ = ["apply", "marked"]


def apply(client: KubeClient, wanted: Object) -> Object:
    """Create the marked object or take its fields back; return it as the server has it now.

    Under Helm's own name in managedFields: another would be a second owner of the fields, and a conflict at
    the next upgrade.
    """
    metadata = wanted["metadata"]
    path = owned_type(wanted["kind"]).path(metadata["namespace"], metadata["name"])
    return client.apply(path, wanted, field_manager())
