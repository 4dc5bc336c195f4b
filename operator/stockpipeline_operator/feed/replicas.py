"""Whether the replicas of a pipeline follow its store: what they say of themselves, and what it means.

Asked over HTTP through a headless Service, like the producers. Messages name no time that goes on: the status
is written when the judgement changes.
"""

import datetime
import http.client
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stockpipeline.api import ReplicaSync, duration
from stockpipeline_operator.feed.judgement import Judgement
from stockpipeline_operator.feed.readings import NoReading, metrics_of
from stockpipeline_operator.feed.rounds import Key, Rounds

_PORT = 8080
_GENERATION = "stockpipeline_replica_generation{"
_LAG_SECONDS = "stockpipeline_replica_lag_seconds{"
_EVERY_SECONDS = 15.0
_LEAST_PATIENCE = datetime.timedelta(minutes=1)


@dataclass(frozen=True)
class ReplicaReading:
    """What one replica says; None where it has no generation yet, or has never seen the store's newest."""

    generation: int | None
    lag_seconds: float | None


def read(namespace: str, name: str) -> tuple[ReplicaReading, ...]:
    """Ask every replica of a pipeline; leave out those that do not answer.

    Raises:
        NoReading: there is none to ask.
    """
    host = f"{name}-replicas.{namespace}.svc"
    try:
        found = socket.getaddrinfo(host, _PORT, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NoReading(f"{host}:{_PORT}: {error}") from error
    readings = []
    for *_, address in found:
        try:
            readings.append(parse(metrics_of(str(address[0]))))
        except (OSError, http.client.HTTPException, ValueError):
            continue
    return tuple(readings)


def parse(text: str) -> ReplicaReading:
    """Read the two gauges in Prometheus' text format."""
    generation: int | None = None
    lag: float | None = None
    for line in text.splitlines():
        if line.startswith(_GENERATION):
            generation = int(float(line.rpartition(" ")[2]))
        elif line.startswith(_LAG_SECONDS):
            lag = float(line.rpartition(" ")[2])
    return ReplicaReading(generation, lag)


def judge(sync: ReplicaSync, readings: Sequence[ReplicaReading]) -> Judgement:
    """Judge what the replicas say: each that should be there was at the newest generation lately."""
    patience = max(_LEAST_PATIENCE, 5 * duration(sync.schedule.pull))
    empty = sum(one.generation is None for one in readings)
    behind = sum(
        one.generation is not None and (one.lag_seconds is None or one.lag_seconds > patience.total_seconds())
        for one in readings
    )
    wanted = sync.replicas
    if len(readings) < wanted:
        return Judgement(False, "Missing", f"{len(readings)} of {wanted} replicas answer")
    if empty:
        return Judgement(False, "NothingPulled", f"{empty} of {wanted} replicas have no generation yet")
    if behind:
        message = (
            f"{behind} of {wanted} replicas have not been at the store's newest generation for more than "
            f"{patience.total_seconds():.0f} s; their logs say why"
        )
        return Judgement(False, "Behind", message)
    return Judgement(True, "Following", f"all {wanted} replicas are at the store's newest generation")


@dataclass
class _Entry:
    sync: ReplicaSync
    found: Judgement | None = None
    told: Judgement | None = None


class ReplicaProbe:
    """Asks the replicas of all pipelines that have some, beside the passes. May be used by many threads."""

    def __init__(
        self, read: Callable[[str, str], tuple[ReplicaReading, ...]], changed: Callable[[Key], None]
    ) -> None:
        self._read = read
        self._changed = changed
        self._entries: dict[Key, _Entry] = {}
        self._lock = threading.Lock()
        self._rounds = Rounds("replicas", _EVERY_SECONDS, self._keys, self._ask)

    def start(self) -> None:
        """Start the thread."""
        self._rounds.start()

    def stop(self) -> None:
        """Let the thread end after the answers that it waits for."""
        self._rounds.stop()

    def follow(self, key: Key, sync: ReplicaSync) -> Judgement | None:
        """Ask the pipeline's replicas from now on; return the judgement so far, if there is any."""
        with self._lock:
            entry = self._entries.setdefault(key, _Entry(sync))
            entry.sync = sync
            entry.told = entry.found
            return entry.found

    def forget(self, key: Key) -> None:
        """Ask no more."""
        with self._lock:
            self._entries.pop(key, None)

    def round(self) -> None:
        """Ask for every pipeline once."""
        self._rounds.round()

    def _keys(self) -> list[Key]:
        with self._lock:
            return list(self._entries)

    def _ask(self, key: Key) -> None:
        try:
            readings = self._read(*key)
        except NoReading:
            readings = ()
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return
            entry.found = judge(entry.sync, readings)
            told = entry.told
            news = entry.found
        if told is None or told != news:
            self._changed(key)
