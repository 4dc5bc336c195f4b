"""The servers of the benchmark, the environment of the other contenders, and running one of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from cluster.artifacts import digest_of
from cluster.settings import Settings
from stockpipeline.adapters.history_redis import HistoryStore
from stockpipeline.api import PipelineConfig, Topic
from stockpipeline_operator.kafka_topics import topic_config
from tests.integration.servers.kafka import running_broker
from tests.integration.servers.redis import running_server
from tests.performance.detector import workload
from tests.performance.detector.contenders.job import Job
from tests.performance.report import REPO

HERE = Path(__file__).parent
# Unlike in tests, the broker gets its usual compilers and its usual heap of 1 GiB. Much of it is young, for a
# collection takes 30 ms whatever its size; one thread collects: G1's take processors from those measured.
_JVM = ("java", "-Xms1g", "-Xmx1g", "-Xmn640m", "-XX:+UseSerialGC", "-Xshare:auto")


@dataclass
class Servers:
    """A broker and a Redis, with a folder for files."""

    kafka: str
    redis: str
    folder: Path
    others_python: Path
    admin: AdminClient = field(init=False)

    def __post_init__(self) -> None:
        self.admin = AdminClient({"bootstrap.servers": self.kafka})

    def create(self, config: PipelineConfig) -> None:
        """Make a pipeline's topics as the operator does, and load the history."""
        topics = [
            NewTopic(config.names.topic(topic), config.spec.kafka.partitions, 1, config=topic_config(topic))
            for topic in Topic
        ]
        for future in self.admin.create_topics(topics).values():
            future.result(30)
        store = HistoryStore(self.redis, config.names)
        series = workload.history(len(config.spec.universe.symbols))
        names = list(series)
        for start in range(0, len(names), 500):
            store.put_many({name: series[name] for name in names[start : start + 500]})
        store.close()

    def create_topic(self, name: str, partitions: int) -> None:
        """Make a topic."""
        self.admin.create_topics([NewTopic(name, partitions, 1)])[name].result(30)

    def fill(self, topic: str, records: Iterable[tuple[str, bytes]]) -> None:
        """Send records, as the product's producer does."""
        producer = Producer(
            {
                "bootstrap.servers": self.kafka,
                "partitioner": "murmur2_random",
                "compression.type": "lz4",
                "linger.ms": 5,
                "queue.buffering.max.messages": 1_000_000,
            }
        )
        for key, value in records:
            while True:
                try:
                    producer.produce(topic, value, key)
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(120) == 0

    def forget(self, config: PipelineConfig) -> None:
        """Let the pipeline begin anew on its ticks: no group, no state."""
        group = config.names.consumer_group
        with suppress(KafkaException):  # there may be none yet
            self.admin.delete_consumer_groups([group])[group].result(30)
        state = config.names.topic(Topic.STATE)
        self.admin.delete_topics([state])[state].result(30)
        while state in self.admin.list_topics(timeout=30).topics:
            time.sleep(0.1)
        partitions = config.spec.kafka.partitions
        made = self.admin.create_topics([NewTopic(state, partitions, 1, config=topic_config(Topic.STATE))])
        made[state].result(30)

    def start(self, contender: str, job: Job, instance: str = "one") -> subprocess.Popen[str]:
        """Start a contender; the detector with an instance name."""
        path = self.folder / f"{contender}-{instance}.job"
        job.write(path)
        ours = contender in ("detector", "consume_decode", "echo", "reader")
        program = [sys.executable if ours else str(self.others_python)]
        program += ["-m", f"tests.performance.detector.contenders.{contender}"]
        return subprocess.Popen(
            [*program, "--job", str(path)],
            stdout=subprocess.PIPE,
            stderr=(self.folder / f"{contender}-{instance}.log").open("w"),
            text=True,
            cwd=REPO,
            env={
                **os.environ,
                "STOCKPIPELINE_INSTANCE": instance,
                "STOCKPIPELINE_HTTP_ADDRESS": "127.0.0.1:0",
                "STOCKPIPELINE_LOG_LEVEL": "warning",
                "PYTHONFAULTHANDLER": "1",
            },
        )


class ContenderFailed(RuntimeError):
    """A contender did not come to its end."""


def result(process: subprocess.Popen[str], seconds: float) -> dict[str, float]:
    """Wait for a contender and return what it found.

    Raises:
        ContenderFailed: it ended otherwise, or not in time.
    """
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # its log has what each of its threads was doing
        process.wait(10)
        raise ContenderFailed(f"{process.args!r} did not end within {seconds} s{_said(process)}") from None
    lines = [line for line in output.splitlines() if line.startswith('{"first"')]
    if process.returncode != 0 or not lines:
        raise ContenderFailed(
            f"{process.args!r} ended with {process.returncode}: {output[-2000:]}{_said(process)}"
        )
    found: dict[str, float] = json.loads(lines[-1])
    return found


def _said(process: subprocess.Popen[str]) -> str:
    """The end of what a contender wrote beside its result."""
    assert isinstance(process.args, list)
    return Path(process.args[-1]).with_suffix(".log").read_text()[-4000:]


@contextmanager
def running(settings: Settings) -> Iterator[Servers]:
    """Yield the servers; stop them after."""
    python = _others(settings)
    with tempfile.TemporaryDirectory(prefix="stockpipeline-bench-") as name:
        folder = Path(name)
        (folder / "kafka").mkdir()
        (folder / "redis").mkdir()
        with running_broker(folder / "kafka", jvm=_JVM) as broker, running_server(folder / "redis") as redis:
            yield Servers(broker.bootstrap, redis.url, folder, python)


def _others(settings: Settings) -> Path:
    """Return the interpreter of the other contenders' environment, made where it is missing."""
    requirements = HERE / "requirements.txt"
    home = settings.cache / "bench-detector" / digest_of([requirements], sys.version)[:12]
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", str(requirements)], check=True)
        (home / "complete").touch()
    return python
