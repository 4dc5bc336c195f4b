"""Which topics exist, and waiting until they do."""

from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stockpipeline.adapters.kafka_client import KafkaUnavailable, describe, short_lived_settings
from stockpipeline.runtime.health import Readiness

_REQUEST_SECONDS = 3.0
_RETRY_SECONDS = 1.0


class TopicCatalog:
    """Asks the cluster for its topics."""

    def __init__(self, bootstrap_servers: str, client_id: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self._admin = AdminClient(short_lived_settings(bootstrap_servers, client_id))

    def partition_counts(self) -> dict[str, int]:
        """Return the number of partitions of each topic that is in order.

        Raises:
            KafkaUnavailable: no broker answered in time.
        """
        try:
            # All topics: asking for one by name could make it, where the broker creates topics by itself.
            metadata = self._admin.list_topics(timeout=_REQUEST_SECONDS)
        except KafkaException as error:
            raise KafkaUnavailable(
                f"Kafka at {self.bootstrap_servers} cannot be reached ({describe(error)})"
            ) from None
        return {name: len(topic.partitions) for name, topic in metadata.topics.items() if topic.error is None}


def wait_for_topics(
    catalog: TopicCatalog,
    topics: Sequence[str],
    readiness: Readiness,
    wait: Callable[[float], bool],
) -> int | None:
    """Wait until all topics exist; return their number of partitions, or None when `wait` says to stop.

    They must have the same number, so that a symbol is in the same partition of each.

    The check `kafka` of `readiness` says what is being waited for. A service that waits tells more than one
    that crashes again and again, and goes on by itself.
    """
    while True:
        try:
            counts = catalog.partition_counts()
        except KafkaUnavailable as error:
            readiness.waiting("kafka", str(error))
        else:
            problem = topics_problem({topic: counts.get(topic) for topic in topics})
            if problem is None:
                readiness.fine("kafka")
                return counts[topics[0]]
            readiness.waiting("kafka", f"Kafka at {catalog.bootstrap_servers}: {problem}")
        if wait(_RETRY_SECONDS):
            return None


def topics_problem(counts: Mapping[str, int | None]) -> str | None:
    """Return what is wrong with topics of these numbers of partitions (None: no such topic), or None."""
    missing = [topic for topic, count in counts.items() if count is None]
    if missing:
        return f"there is no topic {', '.join(missing)}; the operator creates a pipeline's topics"
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{topic} has {count}" for topic, count in counts.items())
        return f"the topics must have the same number of partitions, but {found}; delete the odd ones"
    return None
