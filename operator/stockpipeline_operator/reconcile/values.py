"""The values of the chart `stockpipeline` that a spec asks for. Pure."""

from collections.abc import Mapping
from typing import Any

from stockpipeline.api import (
    DeletionPolicy,
    Engine,
    LogLevel,
    PipelineConfig,
    Resources,
    Scaling,
    Topic,
    Workload,
    duration,
    quantity,
)
from stockpipeline_operator.helm.chart import Values
from stockpipeline_operator.reconcile.base import Base
from stockpipeline_operator.reconcile.source_secrets import source_secrets

Amounts = dict[str, dict[str, str]]
# Where pods have their volumes (`stockpipeline.runtime.settings.data_folder`).
_DATA = "/var/lib/stockpipeline"


def release_values(config: PipelineConfig, uid: str, base: Base) -> Values:
    """The values to install or upgrade with.

    What nobody asked for is left to the chart, so that its defaults stay in one place.
    """
    settings, defaults = base.settings, base.chart.defaults
    values: Values = {
        "config": config.to_json(),
        "suspend": config.spec.suspend,
        "base": base.values,
        "owner": {"name": config.name, "uid": uid},
        "image": {
            "repository": settings.services_repository,
            "tag": settings.services_tag,
            "pullPolicy": settings.services_pull_policy,
        },
    }
    if config.spec.log_level is not LogLevel.INFO:
        values["logLevel"] = config.spec.log_level.value.lower()
    if config.spec.tracing is not None:
        values["tracing"] = config.spec.tracing.to_wire()
    if settings.services_pull_secrets:
        values["imagePullSecrets"] = [{"name": name} for name in settings.services_pull_secrets]
    if secrets := source_secrets(config.spec):
        values["secrets"] = secrets
    for component, workload in (("producer", config.spec.producer), ("detector", config.spec.detector)):
        usual = settings.services_resources.get(component, Resources())
        asked = _asked(workload, usual, defaults.get(component, {}).get("resources", {}))
        if asked:
            values[component] = asked
    values |= _store(config, settings.services_resources, defaults)
    values |= _batch(config, base)
    producer, detector = config.spec.scaling.producer, _detector_scaling(config)
    scaling: dict[str, Any] = {"detector": detector} if detector else {}
    if producer != Scaling().producer:
        scaling["producer"] = {"replicas": producer.replicas}
    if scaling:
        values["scaling"] = scaling
    return values


def _store(
    config: PipelineConfig, usual: Mapping[str, Resources], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """The store and its replicas, as far as there are some."""
    store, sync = config.spec.store, config.spec.replica_sync
    if store is None:
        return {}
    values: dict[str, Any] = {
        "enabled": True,
        "config": config.to_store_json(),
        "size": store.size,
        "retain": config.spec.deletion_policy is DeletionPolicy.RETAIN,
        **_asked(store, usual.get("store", Resources()), defaults.get("store", {}).get("resources", {})),
    }
    if store.storage_class_name is not None:
        values["storageClassName"] = store.storage_class_name
    if sync is None:
        return {"store": values}
    if sync.secret_ref is not None:
        values["secret"] = sync.secret_ref.name
    replica = {
        "enabled": True,
        "replicas": sync.replicas,
        "placement": sync.placement.value,
        "storeVolume": sync.url is None,
        **_asked(sync, usual.get("replica", Resources()), defaults.get("replica", {}).get("resources", {})),
    }
    return {"store": values, "replica": replica}


def _batch(config: PipelineConfig, base: Base) -> dict[str, Any]:
    """The nightly batch, as far as there is one."""
    batch, sync = config.spec.batch, config.spec.replica_sync
    if batch is None:
        return {}
    url = sync.url if sync is not None else None
    namespace, account = base.settings.airflow_account
    folder = f"{_DATA}/batch"
    dag: dict[str, Any] = {
        "name": config.name,
        "exchange": config.spec.universe.exchange.value,
        "afterCloseSeconds": duration(batch.schedule.after_close).total_seconds(),
        "config": "/etc/stockpipeline/pipeline.json",
        **_lake(batch.lake, f"{folder}/lake"),
        "replica": f"{folder}/replica",
        "store": url if url is not None else f"file://{_DATA}/store/generations",
    }
    if batch.schedule.start is not None:
        dag["start"] = batch.schedule.start.isoformat()
    usual = base.settings.services_resources.get("batch", Resources())
    values: dict[str, Any] = {
        "enabled": True,
        "config": config.to_batch_json(),
        "dag": dag,
        "airflow": {"namespace": namespace, "name": account},
        "size": batch.size,
        "storeVolume": url is None,
        **_asked(batch, usual, base.chart.defaults.get("batch", {}).get("resources", {})),
    }
    if batch.storage_class_name is not None:
        values["storageClassName"] = batch.storage_class_name
    if not base.settings.spark_image or batch.engine is Engine.LOCAL:
        return {"batch": values}
    return {"batch": values, "spark": {"enabled": True, "image": base.settings.spark_image}}


def _lake(url: str | None, folder: str) -> dict[str, str]:
    """Where the lake is; with an object store, what its steps bring is on the volume, for the next ones."""
    return {"lake": folder} if url is None else {"lake": url, "lakeCache": folder}


def merged_resources(base: Amounts, *layers: Resources) -> Amounts:
    """Resources with each layer's amounts put over those below it.

    Where a layer gives only one of request and limit, the other follows if it would contradict: Kubernetes
    would refuse the pod.
    """
    found = {kind: dict(base.get(kind, {})) for kind in ("requests", "limits")}
    for layer in layers:
        wire = layer.to_wire()
        for kind, amounts in wire.items():
            found[kind].update(amounts)
        for name, least in found["requests"].items():
            most = found["limits"].get(name)
            if most is not None and quantity(least) > quantity(most):
                given = "requests" if name in wire["requests"] else "limits"
                other = "limits" if given == "requests" else "requests"
                found[other][name] = found[given][name]
    return found


def _asked(workload: Workload, usual: Resources, base: Amounts) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    if workload.resources != Resources() or usual != Resources():
        asked["resources"] = merged_resources(base, usual, workload.resources)
    if workload.node_selector:
        asked["nodeSelector"] = dict(workload.node_selector)
    if workload.tolerations:
        asked["tolerations"] = [one.to_wire() for one in workload.tolerations]
    if workload.image is not None:
        asked["image"] = workload.image
    if workload.env:
        asked["env"] = [one.to_wire() for one in workload.env]
    return asked


def _detector_scaling(config: PipelineConfig) -> dict[str, Any]:
    scaling = config.spec.scaling.detector
    if scaling.autoscaling is not None:
        kafka = {
            "bootstrapServers": config.bootstrap_servers,
            "consumerGroup": config.names.consumer_group,
            "topic": config.names.topic(Topic.TICKS),
        }
        return {"autoscaling": {**scaling.autoscaling.model_dump(by_alias=True), "kafka": kafka}}
    return {"replicas": scaling.replicas} if scaling != Scaling().detector else {}
