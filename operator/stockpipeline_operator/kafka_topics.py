"""The Kafka topics of pipelines: looked at, created, deleted with their consumer group."""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from stockpipeline.api import PipelineNames, Topic

_REQUEST_SECONDS = 5.0
# One look at a cluster serves all pipelines that are reconciled in this time, also when it failed.
_FRESH_SECONDS = 5.0
_MAX_CLUSTERS = 16
_BROKER_DEFAULT = -1
_DAY_MS = 24 * 60 * 60 * 1000

# Ticks carry the exchange's time in their content, and a replay's is years ago. Retention must count from the
# arrival, or the broker would delete a replay's records at once.
_COMMON = {"message.timestamp.type": "LogAppendTime"}
_COMPACTED = {
    **_COMMON,
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.1",
    # Only closed segments are compacted, and a detector that starts reads all that is left.
    "segment.bytes": str(16 * 1024 * 1024),
    "segment.ms": str(_DAY_MS // 24),
}
_RETENTION_DAYS = {Topic.TICKS: 7, Topic.SIGNALS: 90, Topic.DEAD_LETTER: 14}


class KafkaFailure(Exception):
    """Kafka did not do what it was asked; the text names its address."""

    reason = "KafkaRefused"


class KafkaUnreachable(KafkaFailure):
    """No broker answers."""

    reason = "KafkaUnreachable"


def topic_config(topic: Topic) -> dict[str, str]:
    """The settings that a topic is created with; all others are the broker's defaults."""
    if topic.compacted:
        return dict(_COMPACTED)
    retention = str(_RETENTION_DAYS[topic] * _DAY_MS)
    return {**_COMMON, "cleanup.policy": "delete", "retention.ms": retention}


@dataclass
class _Cluster:
    admin: AdminClient
    lock: threading.Lock = field(default_factory=threading.Lock)
    looked_at: float = float("-inf")
    answer: dict[str, int] | str = field(default_factory=dict)
    """Topic → partitions, or why there was no answer."""


class KafkaTopics:
    """Administration of any number of Kafka clusters, by bootstrap address. May be used by many threads."""

    def __init__(self) -> None:
        self._clusters: OrderedDict[str, _Cluster] = OrderedDict()
        self._lock = threading.Lock()

    def partitions(self, servers: str) -> dict[str, int]:
        """Every topic of the cluster with its number of partitions, as of at most a few seconds ago.

        Raises:
            KafkaUnreachable: no broker answers.
        """
        cluster = self._cluster(servers)
        # One thread asks, the others wait for its answer: an unreachable broker costs the time-out once.
        with cluster.lock:
            if time.monotonic() - cluster.looked_at > _FRESH_SECONDS:
                cluster.answer = _ask(cluster.admin, servers)
                cluster.looked_at = time.monotonic()
            answer = cluster.answer
        if isinstance(answer, str):
            raise KafkaUnreachable(answer)
        return answer

    def create(self, servers: str, names: PipelineNames, topics: Iterable[str], partitions: int) -> None:
        """Create topics of a pipeline by their full names; those that exist are left as they are.

        Raises:
            KafkaFailure: a topic could not be created.
        """
        wanted = [
            NewTopic(name, partitions, _BROKER_DEFAULT, config=topic_config(topic))
            for topic, name in names.topics.items()
            if name in set(topics)
        ]
        made = self._cluster(servers).admin.create_topics(wanted, request_timeout=_REQUEST_SECONDS)
        await_answers(servers, (("create topic", made, KafkaError.TOPIC_ALREADY_EXISTS),))
        self._look_again(servers)

    def delete(self, servers: str, names: PipelineNames) -> None:
        """Delete a pipeline's consumer group and topics; fine if they are gone.

        Raises:
            KafkaFailure: the group still has members, or no broker answers.
        """
        self._look_again(servers)
        existing = self.partitions(servers)
        admin = self._cluster(servers).admin
        groups = admin.delete_consumer_groups([names.consumer_group], request_timeout=_REQUEST_SECONDS)
        topics = [name for name in names.topics.values() if name in existing]
        deleted = admin.delete_topics(topics, request_timeout=_REQUEST_SECONDS) if topics else {}
        try:
            await_answers(
                servers,
                (
                    ("delete consumer group", groups, KafkaError.GROUP_ID_NOT_FOUND),
                    ("delete topic", deleted, KafkaError.UNKNOWN_TOPIC_OR_PART),
                ),
            )
        finally:
            self._look_again(servers)

    def _look_again(self, servers: str) -> None:
        self._cluster(servers).looked_at = float("-inf")

    def _cluster(self, servers: str) -> _Cluster:
        with self._lock:
            cluster = self._clusters.pop(servers, None)
            if cluster is None:
                cluster = _Cluster(AdminClient(_client_settings(servers)))
            self._clusters[servers] = cluster
            if len(self._clusters) > _MAX_CLUSTERS:
                self._clusters.popitem(last=False)
            return cluster


def _ask(admin: AdminClient, servers: str) -> dict[str, int] | str:
    try:
        metadata = admin.list_topics(timeout=_REQUEST_SECONDS)
    except KafkaException as error:
        return f"Kafka at {servers} cannot be reached: {_text(error)}"
    return {name: len(topic.partitions) for name, topic in metadata.topics.items()}


def _client_settings(servers: str) -> dict[str, str | int | float | bool]:
    return {
        "bootstrap.servers": servers,
        "client.id": "stockpipeline-operator",
        "socket.connection.setup.timeout.ms": 5000,
        # Without these, a broker that comes back is found only after a growing delay.
        "reconnect.backoff.max.ms": 1000,
        # Unreachable brokers are reported as conditions; librdkafka would print a line for each attempt.
        "log_level": 0,
    }


def await_answers(servers: str, requests: Iterable[tuple[str, dict[str, Future[Any]], int]]) -> None:
    """Wait for the answers to (what, name → answer, the error that is fine), and tell every bad one."""
    failed: list[str] = []
    silent: list[str] = []
    for what, answers, fine in requests:
        for name, answer in answers.items():
            try:
                answer.result(2 * _REQUEST_SECONDS)
            except KafkaException as error:
                if error.args[0].code() != fine:
                    failed.append(f"cannot {what} {name}: {_text(error)}")
            except TimeoutError:
                silent.append(f"cannot {what} {name}")
    if failed:
        raise KafkaFailure(f"Kafka at {servers}: {'; '.join(failed + silent)}")
    if silent:
        raise KafkaUnreachable(f"Kafka at {servers} does not answer: {'; '.join(silent)}")


def _text(error: KafkaException) -> str:
    cause: KafkaError = error.args[0]
    return f"{cause.str()} ({cause.name()})"
