"""Lets go of every pipeline when the operator is uninstalled: `stockpipeline-operator let-go`.

A finalizer that nobody serves any more would hold a deleted pipeline, and its namespace, for ever. So the
last thing that the operator's chart does is to take the finalizers away. The pipelines stay and run on. One
that is deleted then goes at once with all its objects (they belong to it); its topics, its Redis keys and the
Secrets of its release are left. An operator that is installed again takes the pipelines up as it finds them.
"""

import threading
import uuid

import kopf
import structlog

from stockpipeline.api import FINALIZER
from stockpipeline.runtime.settings import instance_name
from stockpipeline_operator.kube.client import Conflict, KubeClient, NotFound, Object
from stockpipeline_operator.kube.resources import STOCK_PIPELINE
from stockpipeline_operator.leadership.fence import Fence
from stockpipeline_operator.leadership.leader import Leader
from stockpipeline_operator.settings import Settings

_log = structlog.get_logger()
_LEASE_TIMEOUT_SECONDS = 2.0


def let_go(settings: Settings, info: kopf.ConnectionInfo, stop: threading.Event) -> int:
    """Wait until no operator leads, then take the finalizer off every pipeline; return the exit code.

    It leads meanwhile: an operator that still runs would put the finalizers back.
    """
    fence = Fence()
    client = KubeClient(info, connections=1, before_write=fence.check)
    leader = Leader(
        KubeClient(info, connections=1, timeout_seconds=_LEASE_TIMEOUT_SECONDS),
        settings.lease,
        f"{instance_name()}_{uuid.uuid4()}",
        fence,
        looked=lambda trouble: _log.warning(trouble) if trouble else None,
        lost=stop.set,
    )
    if not leader.acquire(stop):
        return 1
    try:
        for namespace in settings.namespaces or (None,):
            for resource in client.list(STOCK_PIPELINE.path(namespace), metadata_only=True):
                _release(client, resource)
    except NotFound:
        _log.info("there is no definition of StockPipeline, so there are no pipelines")
    finally:
        leader.release()
    return 0


def _release(client: KubeClient, resource: Object | None) -> None:
    while resource is not None and FINALIZER in resource["metadata"].get("finalizers", ()):
        metadata = resource["metadata"]
        path = STOCK_PIPELINE.path(metadata["namespace"], metadata["name"])
        kept = [one for one in metadata["finalizers"] if one != FINALIZER]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": kept}}
        try:
            client.merge(path, body)
        except Conflict:
            resource = client.get(path, metadata_only=True)
        except NotFound:
            return
        else:
            _log.info("let go", namespace=metadata["namespace"], pipeline=metadata["name"])
            return
