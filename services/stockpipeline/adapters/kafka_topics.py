"""Which topics exist, and waiting until they do."""

from collections.abc import Callable, Sequence

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
) -> dict[str, int] | None:
    """Wait until all topics exist and return their numbers of partitions; None when `wait` says to stop.

    The check `kafka` of `readiness` says what is being waited for. A service that waits tells more than one
    that crashes again and again, and goes on by itself.
    """
    while True:
        try:
            counts = catalog.partition_counts()
        except KafkaUnavailable as error:
            readiness.waiting("kafka", str(error))
        else:
            missing = [topic for topic in topics if topic not in counts]
            if not missing:
                readiness.fine("kafka")
                return {topic: counts[topic] for topic in topics}
            readiness.waiting(
                "kafka",
                f"Kafka at {catalog.bootstrap_servers} does not have the topic {', '.join(missing)}; "
                "the operator creates a pipeline's topics",
            )
        if wait(_RETRY_SECONDS):
            return None
