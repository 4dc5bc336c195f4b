"""Says in a few words what keeps pods from being ready, where they know it in their own. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from stockpipeline_operator.kube.client import Object
from stockpipeline_operator.reconcile.state import Workload

_COMPONENT_LABEL = "app.kubernetes.io/component"
_ORDINARY = ("ContainerCreating", "PodInitializing")
_MISSING = "CreateContainerConfigError"


def describe(pods: Iterable[Object], said: Mapping[str, Sequence[str]] | None = None) -> dict[str, str]:
    """Component → why its newest pod that is not ready is not ready.

    `said` has what pods say themselves, by their names.
    """
    troubles: dict[str, str] = {}
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", ""))):
        component = pod["metadata"].get("labels", {}).get(_COMPONENT_LABEL)
        trouble = _trouble(pod, (said or {}).get(pod["metadata"]["name"], ()))
        if component and trouble:
            troubles[component] = trouble
    return troubles


def running(pods: Iterable[Object]) -> dict[str, str]:
    """Name → IP address of each pod that runs and is not ready: it knows itself what it waits for."""
    return {
        pod["metadata"]["name"]: pod["status"]["podIP"]
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"] and _unready(pod) and pod["status"].get("podIP")
    }


def progress(workload: Workload, troubles: Mapping[str, str]) -> str:
    """How far a workload is that is not done: `producer 0/1 ready (container history waits: …)`."""
    if workload.ready >= workload.desired:
        return f"{workload.component}: the newest version is being rolled out"
    trouble = troubles.get(workload.component)
    text = f"{workload.component} {workload.ready}/{workload.desired} ready"
    return f"{text} ({trouble})" if trouble else text


def _trouble(pod: Object, said: Sequence[str]) -> str | None:
    if "deletionTimestamp" in pod["metadata"]:
        return None
    status = pod.get("status", {})
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"cannot be scheduled: {condition.get('message', condition.get('reason', ''))}"
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    for container in containers:
        if trouble := _container_trouble(container):
            return f"container {container['name']} {trouble}"
    name = _unready(pod)
    if name is None:
        return None
    if said:
        return f"container {name} is not ready: {'; '.join(said)}"
    return f"container {name} runs but is not ready yet"


def _unready(pod: Object) -> str | None:
    """The container that runs and is not ready."""
    for container in pod.get("status", {}).get("containerStatuses", ()):
        if "running" in container.get("state", {}) and not container.get("ready", False):
            return str(container["name"])
    return None


def _container_trouble(container: Object) -> str | None:
    waiting = container.get("state", {}).get("waiting", {})
    reason = waiting.get("reason")
    if reason == _MISSING:
        # Names the Secret or the key that is not there.
        return f"waits: {reason}: {waiting.get('message', 'a Secret or ConfigMap is missing')}"
    if reason and reason not in _ORDINARY:
        # The kubelet's other messages count seconds: repeating them would change the status again and again.
        ended = container.get("lastState", {}).get("terminated", {})
        code = f", exit code {ended['exitCode']}{_last_words(ended)}" if "exitCode" in ended else ""
        image = f" of {container['image']}" if "Image" in reason else ""
        return f"waits: {reason}{image}{code}"
    ended = container.get("state", {}).get("terminated", {})
    if ended.get("exitCode", 0) != 0:
        reason = ended.get("reason", "Error")
        return f"ended with exit code {ended['exitCode']} ({reason}){_last_words(ended)}"
    return None


def _last_words(ended: Object) -> str:
    """The last line that a container wrote for people before it ended.

    Lines of the log are passed over: their times differ after each restart, and so would the status.
    """
    lines = [line.strip() for line in ended.get("message", "").splitlines()]
    said = [line for line in lines if line and not line.startswith("{")]
    return f": {said[-1]}" if said else ""
