"""Names that a pipeline gives to what it owns outside Kubernetes: topics, consumer group, Redis keys.

Everything of one pipeline begins with `NAMESPACE.NAME`. Neither part can contain a dot (the CRD sees to the
name, Kubernetes to the namespace), so no pipeline's names are a prefix of another's.
"""

from dataclasses import dataclass
from enum import StrEnum

GROUP = "stockpipeline.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "StockPipeline"
PLURAL = "stockpipelines"
PIPELINE_LABEL = f"{GROUP}/pipeline"
APPROVE_ANNOTATION = f"{GROUP}/approve"
FINALIZER = f"{GROUP}/finalizer"


class Topic(StrEnum):
    """The topics of a pipeline. Keyed by symbol, `performance` by the signal's id."""

    TICKS = "ticks"
    SIGNALS = "signals"
    PERFORMANCE = "performance"
    STATE = "state"
    DEAD_LETTER = "dead-letter"

    @property
    def compacted(self) -> bool:
        """Whether only the newest record of each key is kept."""
        return self in (Topic.PERFORMANCE, Topic.STATE)


@dataclass(frozen=True)
class PipelineNames:
    """All outside names of the pipeline `name` in `namespace`."""

    namespace: str
    name: str

    @property
    def prefix(self) -> str:
        """What every name of the pipeline begins with."""
        return f"{self.namespace}.{self.name}"

    def topic(self, topic: Topic) -> str:
        """The Kafka topic's full name, for example `default.demo.ticks`."""
        return f"{self.prefix}.{topic.value}"

    @property
    def topics(self) -> dict[Topic, str]:
        """Every topic with its full name."""
        return {topic: self.topic(topic) for topic in Topic}

    @property
    def consumer_group(self) -> str:
        """The consumer group of the detector."""
        return f"{self.prefix}.detector"

    @property
    def redis_prefix(self) -> str:
        """What every Redis key of the pipeline begins with."""
        return f"{self.prefix}:"

    def history_key(self, symbol: str, digest: str) -> str:
        """The Redis key with the closed daily bars of a symbol that have this digest."""
        return f"{self.redis_prefix}history:{symbol}:{digest}"

    def open_performance_key(self, partition: int) -> str:
        """The Redis hash signal id → performance of the open signals of one partition's symbols."""
        return f"{self.redis_prefix}performance:open:{partition}"

    def closed_performance_key(self, partition: int) -> str:
        """The Redis sorted set of the newest closed performances of one partition's symbols, by last exit."""
        return f"{self.redis_prefix}performance:closed:{partition}"

    @property
    def producers_key(self) -> str:
        """The Redis hash in which several producers share the symbols."""
        return f"{self.redis_prefix}producers"

    @property
    def history_digests_key(self) -> str:
        """The Redis hash symbol → digest of its history."""
        return f"{self.redis_prefix}history-digests"

    @property
    def history_generation_key(self) -> str:
        """The Redis key that counts how often histories have changed."""
        return f"{self.redis_prefix}history-generation"

    @property
    def history_leaving_key(self) -> str:
        """The Redis hash symbol → epoch seconds since when the store has no history of it."""
        return f"{self.redis_prefix}history-leaving"
