"""Whether anything was lost or doubled: what the topics and a replica have, beside what they should have."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import environment
from cluster.backend import Cluster
from cluster.load.resource import NAME, NAMESPACE
from cluster.observe import CONFIG_PATH, kubectl
from cluster.settings import Settings
from cluster.shell import run, wait_until

_NUMBERS = Path(__file__).parent / "pod" / "numbers.py"
_ASK = (
    "import json, sys, urllib.request as r;"
    f"q = r.Request('http://{NAME}-replica:8081/query', json.dumps({{'sql': sys.argv[1]}}).encode());"
    "print(r.urlopen(q, timeout=30).read().decode())"
)
# For signals to go through the store to the replicas.
_ARRIVE_TIMEOUT = 120.0
_READ_TIMEOUT = 600.0


@dataclass(frozen=True)
class Comparison:
    """Signals at one place beside those that the same replay gives without servers, by their ids."""

    expected: int
    lost: int
    doubled: int
    unexpected: int

    @property
    def exact(self) -> bool:
        """Whether each is there once, and no other."""
        return not (self.lost or self.doubled or self.unexpected)


def compare(expected: Iterable[str], found: Sequence[str]) -> Comparison:
    """Compare ids; one that is there three times was doubled twice."""
    wanted, there = set(expected), Counter(found)
    return Comparison(
        expected=len(wanted),
        lost=len(wanted - there.keys()),
        doubled=there.total() - len(there),
        unexpected=len(there.keys() - wanted),
    )


@dataclass(frozen=True)
class Counted:
    """What is at each place when all is over."""

    ticks: int
    ticks_missing: int
    ticks_repeated: int
    ticks_deleted: int
    in_kafka: Comparison
    on_replica: Comparison

    @property
    def exact(self) -> bool:
        """Whether nothing was lost or doubled anywhere."""
        return (
            not (self.ticks_missing or self.ticks_repeated) and self.in_kafka.exact and self.on_replica.exact
        )


def count(settings: Settings, cluster: Cluster, resource: dict[str, Any]) -> Counted:
    """Count at all places; the replay is over and its ticks are processed.

    What does not arrive within two minutes counts as lost.
    """
    expected = _expected(settings, resource)
    numbers = json.loads(_in_detector(cluster, _NUMBERS.read_text(encoding="utf-8"), CONFIG_PATH))
    kafka = _in_kafka(cluster)

    replica: list[str] = []

    def arrived() -> bool:
        answer = json.loads(_in_detector(cluster, _ASK, "SELECT id FROM signals"))
        replica[:] = (row[0] for row in answer["rows"])
        return len(replica) >= len(kafka)

    with suppress(TimeoutError):  # then they are lost, and counted as such
        wait_until(arrived, _ARRIVE_TIMEOUT, "a replica has the signals of Kafka")
    return Counted(
        ticks=numbers["ticks"],
        ticks_missing=numbers["missing"],
        ticks_repeated=numbers["repeated"],
        ticks_deleted=numbers["deleted"],
        in_kafka=compare(expected, kafka),
        on_replica=compare(expected, replica),
    )


def _expected(settings: Settings, resource: dict[str, Any]) -> list[str]:
    """Return the ids of the signals that the same replay gives without any server."""
    with tempfile.TemporaryDirectory() as folder:
        pipeline, signals = Path(folder) / "pipeline.json", Path(folder) / "signals.jsonl"
        pipeline.write_text(json.dumps(resource))
        program = environment.python(settings).with_name("stockpipeline")
        command: list[str | Path] = [program, "replay", "--pipeline", pipeline, "--signals", signals]
        run(command, cwd=settings.repo, timeout=_READ_TIMEOUT)
        return _ids(signals.read_text())


def _in_kafka(cluster: Cluster) -> list[str]:
    lines = kubectl(
        cluster, "exec", "--namespace", NAMESPACE, f"deployment/{NAME}-detector", "--",
        "stockpipeline", "signals", "--config", CONFIG_PATH, "--last", "10000000", "--json",
        timeout=_READ_TIMEOUT,
    )  # fmt: skip
    return _ids(lines)


def _ids(lines: str) -> list[str]:
    return [json.loads(line)["id"] for line in lines.splitlines()]


def _in_detector(cluster: Cluster, program: str, *arguments: str) -> str:
    return kubectl(
        cluster, "exec", "--namespace", NAMESPACE, f"deployment/{NAME}-detector", "--",
        "python3", "-c", program, *arguments,
        timeout=_READ_TIMEOUT,
    )  # fmt: skip
