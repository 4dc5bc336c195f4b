"""Finds the pipelines of the cluster that have a batch, and keeps a file for each in a folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from airflow_dags.kube import Kube, KubeError, Object
from airflow_dags.pipeline import BatchPipeline, Pods, SparkAccess

_log = logging.getLogger(__name__)
_PIPELINES = "/apis/stockpipeline.dev/v1alpha1"
_USUAL_NAMESPACE = "default"
_FORBIDDEN = 403
Key = tuple[str, str]


class Discovery:
    """Pipelines by namespace and name, read again when their resource has changed."""

    def __init__(self, kube: Kube, folder: Path, namespaces: Sequence[str] = ()) -> None:
        self._kube = kube
        self._folder = folder
        self._namespaces = namespaces
        self._known: dict[Key, tuple[str, BatchPipeline]] = {}

    def bring(self) -> list[BatchPipeline]:
        """Bring the folder's files to the state of the cluster; return the pipelines.

        Raises:
            KubeError, OSError: the API server does not answer, or refuses; the files stay.
        """
        found: dict[Key, tuple[str, BatchPipeline]] = {}
        for resource in self._resources():
            metadata = resource["metadata"]
            key, version = (metadata["namespace"], metadata["name"]), metadata["resourceVersion"]
            if resource["spec"].get("batch") is None:
                continue
            known = self._known.get(key)
            if known is not None and known[0] == version:
                found[key] = known
            elif (pipeline := self._read(*key)) is not None:
                found[key] = (version, pipeline)
        files = {f"{key[0]}.{key[1]}.json": entry[1] for key, entry in found.items()}
        for name, pipeline in files.items():
            self._write(self._folder / name, pipeline.model_dump_json(by_alias=True, indent=2))
        for path in self._folder.glob("*.json"):
            if path.name not in files:
                path.unlink()
                _log.info("%s is gone", path.stem)
        self._known = found
        return [pipeline for _, pipeline in found.values()]

    def _resources(self) -> list[Object]:
        places = [f"/namespaces/{name}" for name in self._namespaces] or [""]
        lists = [self._kube.get(f"{_PIPELINES}{place}/stockpipelines") for place in places]
        return [one for each in lists if each is not None for one in each["items"]]

    def _read(self, namespace: str, name: str) -> BatchPipeline | None:
        """The pipeline as its release describes it; None while it has none, or gave us no right to see it."""
        try:
            found = self._kube.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}-batch")
        except KubeError as error:
            if error.status == _FORBIDDEN:
                return None
            raise
        if found is None:
            return None
        try:
            return described(found)
        except (ValueError, KeyError, yaml.YAMLError) as error:
            _log.error("ConfigMap %s/%s-batch: %s", namespace, name, error)
            return None

    def _write(self, path: Path, text: str) -> None:
        if path.exists() and path.read_text() == text:
            return
        temporary = path.with_suffix(".new")
        temporary.write_text(text)
        temporary.replace(path)
        _log.info("%s is new or has changed", path.stem)


def described(found: Object) -> BatchPipeline:
    """Read a pipeline from the ConfigMap that its release has for Airflow.

    Raises:
        ValueError, KeyError, yaml.YAMLError: it is not what it should be.
    """
    metadata, data = found["metadata"], found["data"]
    namespace, name = metadata["namespace"], metadata["name"]
    batch: dict[str, Any] = json.loads(data["batch.json"])
    if batch.get("start") is None:
        batch["start"] = metadata["creationTimestamp"][:10]
    if namespace != _USUAL_NAMESPACE:
        # A name may be in several namespaces.
        batch["dags"] = f"{namespace}.{batch['name']}"
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": metadata["uid"]}
    template = yaml.safe_load(data["pod.yaml"])
    spark = SparkAccess.model_validate_json(data["spark.json"]) if "spark.json" in data else None
    record = f"{batch['name']}-batch-run"
    pods = Pods(namespace=namespace, template=template, owner=owner, record=record, spark=spark)
    return BatchPipeline.model_validate({**batch, "pods": pods})
