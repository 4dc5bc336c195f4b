"""Removes a pipeline's release with its objects."""

from stockpipeline_operator.helm.releases import HelmFailure
from stockpipeline_operator.reconcile.state import Cleanup
from stockpipeline_operator.reconcile.work import Work


def uninstall(work: Work) -> None:
    """Uninstall; after a deletion's deadline, say what is left and go on.

    The objects belong to the resource (ownerReferences), so Kubernetes removes those that Helm could not.
    """
    pipeline = work.pipeline
    try:
        work.tools.releases.uninstall(pipeline.namespace, pipeline.name)
    except HelmFailure as error:
        if not work.desired.give_up:
            raise
        note = f"cannot uninstall the release: {error}; gave up: its Secrets may be left behind"
        work.tools.events.record(pipeline, "Warning", "ReleaseNotRemoved", note)
        work.cleaned |= {Cleanup.RELEASE}
