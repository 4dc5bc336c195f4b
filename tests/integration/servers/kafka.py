"""A real Kafka broker for tests: one node in KRaft mode, the same jars as the image."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from cluster.imagebuild.contexts import kafka_jars
from cluster.settings import Settings
from tests.ports import free_port

from .process import ServerError, ServerProcess

LOG_SETTINGS = Path(__file__).parents[3] / "images" / "kafka" / "log4j2.xml"

# A small heap, the serial collector and the first compiler tier: quick to start.
JVM = ["java", "-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
CLUSTER_ID = "c3RvY2twaXBlbGluZS10ZQ"


class Broker(ServerProcess):
    """A running broker; `bootstrap` is its HOST:PORT, which a restart keeps."""

    def __init__(
        self, directory: Path, classpath: str, properties: Mapping[str, str], jvm: Sequence[str] = JVM
    ) -> None:
        port, controller_port = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        self._admin = AdminClient(
            {"bootstrap.servers": self.bootstrap, "reconnect.backoff.max.ms": 100, "log_level": 0}
        )
        self._properties = directory / "server.properties"
        settings = _settings(directory / "data", port, controller_port) | dict(properties)
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        self._classpath = classpath
        super().__init__(
            [*jvm, f"-Dlog4j2.configurationFile={LOG_SETTINGS}", "-cp", classpath,
             "kafka.Kafka", str(self._properties)],
            log=directory / "broker.log",
            ready=self._serves,
        )  # fmt: skip

    def format(self) -> None:
        """Write the identity of an empty broker's data directory."""
        done = subprocess.run(
            [*JVM, "-cp", self._classpath, "kafka.tools.StorageTool", "format",
             f"--cluster-id={CLUSTER_ID}", f"--config={self._properties}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise ServerError(f"cannot format Kafka's storage:\n{done.stdout}{done.stderr}")

    def restart(self) -> None:
        """Kill the broker as a crash would and start it again on the same data and port."""
        self.kill()
        self.start()

    def _serves(self) -> bool:
        # A listening socket is not enough: a broker accepts before it is unfenced.
        with contextlib.suppress(KafkaException):
            return bool(self._admin.list_topics(timeout=1).brokers)
        return False


def _settings(data: Path, port: int, controller_port: int) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        # As in the cluster: topics are made by who owns them, never by a typing error.
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "group.initial.rebalance.delay.ms": "0",
        # A restarted broker waits until the session of the killed one ends (9 s by default).
        "broker.session.timeout.ms": "1000",
        "broker.heartbeat.interval.ms": "200",
        # By default half of this heap.
        "log.cleaner.dedupe.buffer.size": "8388608",
    }


@contextlib.contextmanager
def running_broker(
    directory: Path, properties: Mapping[str, str] | None = None, jvm: Sequence[str] = JVM
) -> Iterator[Broker]:
    """Yield a broker that serves, with its files in the empty `directory`; stop it after.

    `properties` are settings of the broker that replace or extend the usual ones, `jvm` starts its Java.
    """
    classpath = f"{kafka_jars(Settings.from_environment())}/*"
    broker = Broker(directory, classpath, properties or {}, jvm)
    broker.format()
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
