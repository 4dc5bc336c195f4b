"""The configuration that a pipeline's services read: the content of `pipeline.json`."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.main import IncEx

from stockpipeline.api.base import ApiModel, Check
from stockpipeline.api.names import API_VERSION, KIND, PipelineNames
from stockpipeline.api.spec import StockPipelineSpec

# The parts of the spec that services read. The rest is the operator's: a change of it must not restart them.
# What is collected is the batch's.
_FOLLOWED = {"symbols", "exchange"}
_SERVICES_READ: dict[str, IncEx | bool] = {
    "universe": _FOLLOWED,
    **dict.fromkeys(
        ("sources", "kafka", "redis", "bars", "indicators", "rules", "performance", "delivery"), True
    ),
}

# What the store and its replicas read. How many there are, and where, is not: that must not restart them.
_STORE_READS: dict[str, IncEx | bool] = {
    "universe": _FOLLOWED,
    "sources": True,
    "kafka": True,
    "redis": True,
    "store": {"size", "history"},
    "replica_sync": {"url", "retention", "schedule"},
}

# What the steps of the batch read: changes of it hold from the next step on, and restart nothing.
_BATCH_READS: dict[str, IncEx | bool] = {
    "universe": True,
    "sources": True,
    "kafka": True,
    "redis": True,
    "indicators": True,
    "rules": True,
    "batch": {"history_years", "minimum_coverage", "engine", "spark"},
    "store": {"size"},
    "replica_sync": {"url"},
}


class PipelineConfig(ApiModel):
    """A pipeline with nothing left to look up: the endpoints that the resource leaves out are filled in."""

    namespace: Annotated[str, Field(min_length=1, max_length=63)]
    """Namespace of the StockPipeline."""

    name: Annotated[str, Field(min_length=1, max_length=53)]
    """Name of the StockPipeline."""

    spec: StockPipelineSpec
    """The resource's spec, with `kafka.bootstrapServers` and `redis.url` set."""

    checks = (
        Check(
            "has(self.spec.kafka.bootstrapServers)",
            "spec.kafka.bootstrapServers is not set: the services need a broker to connect to",
            lambda config: config.spec.kafka.bootstrap_servers is not None,
        ),
        Check(
            "has(self.spec.redis.url)",
            "spec.redis.url is not set: the services need a Redis to connect to",
            lambda config: config.spec.redis.url is not None,
        ),
    )

    @property
    def names(self) -> PipelineNames:
        """Topics, consumer group and Redis keys of the pipeline."""
        return PipelineNames(self.namespace, self.name)

    @property
    def bootstrap_servers(self) -> str:
        """HOST:PORT of the Kafka brokers, separated by commas."""
        assert self.spec.kafka.bootstrap_servers is not None
        return self.spec.kafka.bootstrap_servers

    @property
    def redis_url(self) -> str:
        """URL of the Redis server."""
        assert self.spec.redis.url is not None
        return self.spec.redis.url

    def to_json(self) -> str:
        """The text of `pipeline.json`: the parts of the spec that services read.

        Specs that mean the same to the services give equal text.
        """
        return self._text(_SERVICES_READ)

    def to_store_json(self) -> str:
        """The text of `store.json`: the parts of the spec that the store and its replicas read."""
        return self._text(_STORE_READS)

    def to_batch_json(self) -> str:
        """The text of the batch's `pipeline.json`: the parts of the spec that its steps read."""
        return self._text(_BATCH_READS)

    def _text(self, spec: IncEx) -> str:
        include: dict[str, IncEx | bool] = {"namespace": True, "name": True, "spec": spec}
        return self.model_dump_json(include=include, by_alias=True, exclude_none=True, indent=2) + "\n"


class _Metadata(BaseModel):
    """The part of a resource's metadata that names it; the rest belongs to Kubernetes and is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    namespace: str = "default"


class _Resource(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    metadata: _Metadata
    spec: StockPipelineSpec


def resolve(
    namespace: str,
    name: str,
    spec: StockPipelineSpec,
    *,
    default_bootstrap_servers: str,
    default_redis_url: str,
) -> PipelineConfig:
    """Fill in the endpoints that `spec` leaves out.

    Raises:
        pydantic.ValidationError: a default is not of the form that the field asks for.
    """
    wire = spec.to_wire()
    wire["kafka"].setdefault("bootstrapServers", default_bootstrap_servers)
    wire["redis"].setdefault("url", default_redis_url)
    return PipelineConfig.model_validate({"namespace": namespace, "name": name, "spec": wire})


def parse_document(
    document: Mapping[str, Any],
    *,
    default_bootstrap_servers: str = "localhost:9092",
    default_redis_url: str = "redis://localhost:6379/0",
) -> PipelineConfig:
    """Read the content of `pipeline.json` or a whole StockPipeline resource, as parsed from JSON or YAML.

    Raises:
        pydantic.ValidationError: names each field that is wrong, with its path.
        ValueError: the document is a Kubernetes object of another kind.
    """
    if "kind" not in document:
        # Made and checked by an operator, which may be newer than this service: a release keeps its image.
        return PipelineConfig.model_validate(document, extra="ignore")
    if (document.get("apiVersion"), document["kind"]) != (API_VERSION, KIND):
        raise ValueError(
            f"expected apiVersion {API_VERSION}, kind {KIND}; "
            f"the document has {document.get('apiVersion')}, {document['kind']}"
        )
    resource = _Resource.model_validate(document)
    return resolve(
        resource.metadata.namespace,
        resource.metadata.name,
        resource.spec,
        default_bootstrap_servers=default_bootstrap_servers,
        default_redis_url=default_redis_url,
    )
