"""The Kubernetes Job of a request to the engine Spark: its pod is the driver, which makes executors. Pure.

The driver runs in client mode: what Spark's own scheduler for Kubernetes makes are pods that the driver's pod
owns, so they go when it goes. A driver that was killed is started again by the Job, and computes what is not
done yet. All pods keep to the restricted profile of Pod Security, on read-only root file systems.
"""

import json
from collections.abc import Mapping
from typing import Any

from stockpipeline.api import PIPELINE_LABEL, SparkSize, quantity
from stockpipeline.batch.spark_request import SparkRequest

Object = dict[str, Any]

BROKEN_EXIT_CODE = 3
"""Of a driver that met broken data, where another try would meet the same."""
DRIVER_PORT, BLOCK_PORT, UI_PORT = 7078, 7079, 4040
_USER = 10001
_BACKOFF_LIMIT = 3
_KEPT_SECONDS = 86_400
"""How long a Job that has ended stays, with the logs of its pods."""
_HEAP_SHARE, _LEAST_HEAP_MIB, _LEAST_REST_MIB = 0.5, 512, 256
_REQUESTED_CPU = 0.25
"""Share of its cores that is set aside for an executor: a night's work may use what others leave idle."""
_EVENTS = "spark-events"


class TooSmall(ValueError):
    """A size of the pipeline's spec that no process of Spark fits in; the message names it."""


def spark_job(request: SparkRequest, owner: Object | None) -> Object:
    """Return the Job; with an owner it goes with that."""
    name = request.job_name
    metadata: Object = {
        "name": name,
        "namespace": request.namespace,
        "labels": labels(request, "spark-driver"),
    }
    if owner is not None:
        metadata["ownerReferences"] = [
            {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "blockOwnerDeletion": False,
            }
        ]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": _BACKOFF_LIMIT,
            "activeDeadlineSeconds": request.deadline_seconds,
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": "driver",
                            "operator": "In",
                            "values": [BROKEN_EXIT_CODE],
                        },
                    },
                    # A node that is drained is no failure of the driver.
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                ]
            },
            "template": {
                "metadata": {"labels": labels(request, "spark-driver")},
                "spec": _driver_pod(request),
            },
        },
    }


def labels(request: SparkRequest, component: str) -> dict[str, str]:
    """Return the labels of a component's objects."""
    return {
        "app.kubernetes.io/name": "stockpipeline",
        "app.kubernetes.io/instance": request.pipeline,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "stockpipeline",
        "app.kubernetes.io/managed-by": "stockpipeline-batch",
        PIPELINE_LABEL: request.pipeline,
    }


def spark_settings(request: SparkRequest) -> dict[str, str]:
    """Return Spark's properties; `$(POD_NAME)` and `$(POD_IP)` are the driver's."""
    executor = request.terms.spark.executor
    executor_heap, executor_rest = _memory("executor", executor)
    lake = "spark.kubernetes.executor.volumes.persistentVolumeClaim.lake"
    settings = {
        "spark.master": "k8s://https://kubernetes.default.svc",
        "spark.submit.deployMode": "client",
        "spark.kubernetes.namespace": request.namespace,
        "spark.kubernetes.container.image": request.image,
        "spark.kubernetes.container.image.pullPolicy": "IfNotPresent",
        "spark.kubernetes.driver.pod.name": "$(POD_NAME)",
        # By address: executors then need neither a Service nor DNS.
        "spark.driver.host": "$(POD_IP)",
        "spark.driver.bindAddress": "$(POD_IP)",
        "spark.driver.port": str(DRIVER_PORT),
        "spark.blockManager.port": str(BLOCK_PORT),
        "spark.ui.port": str(UI_PORT),
        "spark.executor.instances": str(executor.instances),
        # The first executor begins while others start.
        "spark.scheduler.minRegisteredResourcesRatio": "0",
        "spark.executor.cores": str(executor.cores),
        "spark.executor.memory": f"{executor_heap}m",
        "spark.executor.memoryOverhead": f"{executor_rest}m",
        "spark.kubernetes.executor.request.cores": f"{round(1000 * _REQUESTED_CPU * executor.cores)}m",
        "spark.kubernetes.executor.limit.cores": str(executor.cores),
        "spark.kubernetes.executor.podTemplateContainerName": "executor",
        # What executors need to know is in their variables; so the driver may do without ConfigMaps.
        "spark.kubernetes.executor.disableConfigMap": "true",
        f"{lake}.options.claimName": request.volume.claim,
        f"{lake}.mount.path": str(request.volume.path),
        f"{lake}.mount.readOnly": "false",
        # A machine that is busy starting Java may take longer than the usual 10 s.
        "spark.kubernetes.driver.connectionTimeout": "60000",
        "spark.kubernetes.driver.requestTimeout": "60000",
        # The claim is the pipeline's, and there is no Service: nothing of that kind to be found and deleted.
        "spark.kubernetes.driver.ownPersistentVolumeClaim": "false",
        "spark.kubernetes.driver.reusePersistentVolumeClaim": "false",
        "spark.kubernetes.driver.service.deleteOnTermination": "false",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file://{request.volume.path / _EVENTS}",
    }
    for name, value in labels(request, "spark-executor").items():
        settings[f"spark.kubernetes.executor.label.{name}"] = value
    for name, value in request.terms.node_selector.items():
        settings[f"spark.kubernetes.executor.node.selector.{name}"] = value
    return settings


def executor_template(request: SparkRequest) -> Object:
    """Return what every executor's pod has besides what Spark puts into it."""
    spec = {
        **_pod(request),
        "automountServiceAccountToken": False,
        "containers": [
            {
                "name": "executor",
                "securityContext": _CONTAINER_SECURITY,
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - a volume of the pod's own
            }
        ],
        "volumes": [_TMP],
    }
    return {"apiVersion": "v1", "kind": "Pod", "spec": spec}


def _driver_pod(request: SparkRequest) -> Object:
    settings = [word for pair in spark_settings(request).items() for word in ("--conf", "=".join(pair))]
    indicators = json.dumps([indicator.model_dump(mode="json") for indicator in request.indicators])
    words = ["--indicators", indicators, "--lake", str(request.lake), "--report", "/dev/termination-log"]
    words += ["--events", str(request.volume.path / _EVENTS), *(["--anew"] if request.anew else [])]
    size = request.terms.spark.driver
    container = {
        "name": "driver",
        "image": request.image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["driver", *settings, _PROGRAM, *words],
        "env": [
            _field("POD_NAME", "metadata.name"),
            _field("POD_IP", "status.podIP"),
            {"name": "SPARK_DRIVER_MEMORY", "value": f"{_memory('driver', size)[0]}m"},
            {"name": "EXECUTOR_TEMPLATE", "value": json.dumps(executor_template(request))},
        ],
        "ports": [{"name": "ui", "containerPort": UI_PORT}],
        "resources": _resources(size),
        "securityContext": _CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
            {"name": "lake", "mountPath": str(request.volume.path)},
        ],
    }
    return {
        **_pod(request),
        "serviceAccountName": request.service_account,
        "automountServiceAccountToken": True,
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        **({"nodeSelector": dict(request.terms.node_selector)} if request.terms.node_selector else {}),
        "containers": [container],
        "volumes": [_TMP, {"name": "lake", "persistentVolumeClaim": {"claimName": request.volume.claim}}],
    }


_PROGRAM = "/opt/stockpipeline/lib/python3.11/site-packages/spark_jobs/compute_indicators.py"
_TMP = {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}
_CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def _pod(request: SparkRequest) -> Object:
    pod: Object = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    }
    if request.terms.tolerations:
        pod["tolerations"] = [one.to_wire() for one in request.terms.tolerations]
    return pod


def _memory(role: str, size: SparkSize) -> tuple[int, int]:
    """Return MiB of Java's heap, and of the rest: what Java needs beside it, and Python, which computes."""
    whole = int(quantity(size.memory) / 2**20)
    heap = max(_LEAST_HEAP_MIB, round(whole * _HEAP_SHARE))
    if whole - heap < _LEAST_REST_MIB:
        least = _LEAST_HEAP_MIB + _LEAST_REST_MIB
        raise TooSmall(f"spec.batch.spark.{role}.memory is {size.memory}; a process of Spark needs {least}Mi")
    return heap, whole - heap


def _resources(size: SparkSize) -> Mapping[str, Mapping[str, str]]:
    # A driver waits for its executors most of the time.
    return {
        "requests": {"cpu": "100m", "memory": size.memory},
        "limits": {"cpu": str(size.cores), "memory": size.memory},
    }


def _field(name: str, path: str) -> Object:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
