"""What the producers of a pipeline say of their ticks and sources, in the metrics that they export."""

import datetime
import http.client
import json
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_PORT = 8080
_TIMEOUT_SECONDS = 2.0
# Ten times what a producer with many sources answers: a pod may answer anything.
_MOST_BYTES = 1 << 20
_READY_OR_NOT = frozenset({http.client.OK, http.client.SERVICE_UNAVAILABLE})
_PREFIX = "stockpipeline_producer_"
_SAMPLE = re.compile(rf"^{_PREFIX}(\w+)(?:\{{([^}}]*)\}})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class NoReading(Exception):
    """No producer answers; the text says why."""


@dataclass(frozen=True)
class SourceReading:
    """One live source, as the fallback chain sees it."""

    name: str
    served: int
    """Symbols that it serves now."""
    tripped: bool = False
    """Whether its circuit breaker is open, or half open: it has failed, and not worked since."""


@dataclass(frozen=True)
class Reading:
    """The state of a pipeline's producers together."""

    event_time: datetime.datetime | None
    """Event time of the newest tick; None: none was sent yet."""
    exhausted: bool = False
    """Whether every source has come to its end."""
    ticks: int = 0
    """How many were sent since the producers started."""
    sources: tuple[SourceReading, ...] = ()
    """Of a live pipeline, once its producer has begun."""
    live_symbols: int = 0
    """Symbols that a source has."""
    stale_symbols: int = 0
    """Symbols that no source has while the exchange is open."""
    waits_for: tuple[str, ...] = ()
    """Why a producer is not ready; a sentence each."""


def read(namespace: str, name: str) -> Reading:
    """Ask every producer of a pipeline.

    Raises:
        NoReading: none answers, or what answers is none.
    """
    host = f"{name}-producer.{namespace}.svc"
    try:
        found = socket.getaddrinfo(host, _PORT, type=socket.SOCK_STREAM)
        return combined(_ask(str(address[0])) for *_, address in found)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoReading(f"{host}:{_PORT}: {error}") from error


def reasons(address: str) -> tuple[str, ...]:
    """Why the service at an IP address is not ready, in its own words; none where it does not answer."""
    connection = http.client.HTTPConnection(address, _PORT, timeout=_TIMEOUT_SECONDS)
    try:
        return _waits_for(_get(connection, "/readyz", _READY_OR_NOT))
    except (OSError, http.client.HTTPException, ValueError):
        return ()
    finally:
        connection.close()


def metrics_of(address: str) -> str:
    """Ask the component at an IP address for its metrics, in Prometheus' text format.

    Raises:
        OSError, http.client.HTTPException, ValueError: it does not answer, or not with metrics.
    """
    connection = http.client.HTTPConnection(address, _PORT, timeout=_TIMEOUT_SECONDS)
    try:
        return _get(connection, "/metrics", frozenset({http.client.OK}))
    finally:
        connection.close()


def combined(readings: Iterable[Reading]) -> Reading:
    """The newest event time of all, and all that they do together; exhausted where all are."""
    every = list(readings)
    times = [one.event_time for one in every if one.event_time is not None]
    by_name: dict[str, SourceReading] = {}
    for source in (source for one in every for source in one.sources):
        other = by_name.get(source.name, source)
        served = source.served + (other.served if other is not source else 0)
        by_name[source.name] = SourceReading(source.name, served, source.tripped or other.tripped)
    return Reading(
        event_time=max(times, default=None),
        exhausted=bool(every) and all(one.exhausted for one in every),
        ticks=sum(one.ticks for one in every),
        sources=tuple(by_name.values()),
        live_symbols=sum(one.live_symbols for one in every),
        stale_symbols=sum(one.stale_symbols for one in every),
        waits_for=tuple(dict.fromkeys(reason for one in every for reason in one.waits_for)),
    )


def parse(metrics: str, readiness: str) -> Reading:
    """Read the answers to /metrics (Prometheus' text format) and /readyz (JSON).

    Raises:
        ValueError: one is not what a producer answers.
    """
    event_time, exhausted, ticks = 0.0, False, 0.0
    symbols: dict[str, int] = {}
    served: dict[str, int] = {}
    tripped: set[str] = set()
    for name, labels, value in _samples(metrics):
        match name:
            case "event_time_seconds":
                event_time = max(event_time, value)
            case "exhausted":
                exhausted = value > 0
            case "ticks_total":
                ticks += value
            case "symbols":
                symbols[labels["state"]] = int(value)
            case "served_symbols":
                served[labels["source"]] = int(value)
            case "breaker_state" if value > 0:
                tripped.add(labels["source"])
    return Reading(
        # A gauge that was never set is 0.
        event_time=datetime.datetime.fromtimestamp(event_time, datetime.UTC) if event_time else None,
        exhausted=exhausted,
        ticks=int(ticks),
        sources=tuple(SourceReading(name, count, name in tripped) for name, count in served.items()),
        live_symbols=symbols.get("live", 0),
        stale_symbols=symbols.get("stale", 0),
        waits_for=_waits_for(readiness),
    )


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for name, labels, value in _SAMPLE.findall(text):
        yield name, dict(_LABEL.findall(labels)), float(value)


def _waits_for(readiness: str) -> tuple[str, ...]:
    answer = json.loads(readiness)
    if not isinstance(answer, dict):
        raise ValueError("/readyz answers no object")
    checks = answer.get("checks", {})
    return tuple(f"{name}: {found}" for name, found in checks.items() if found != "ok")


def _ask(address: str) -> Reading:
    connection = http.client.HTTPConnection(address, _PORT, timeout=_TIMEOUT_SECONDS)
    try:
        metrics = _get(connection, "/metrics", frozenset({http.client.OK}))
        return parse(metrics, _get(connection, "/readyz", _READY_OR_NOT))
    finally:
        connection.close()


def _get(connection: http.client.HTTPConnection, path: str, fine: frozenset[int]) -> str:
    connection.request("GET", path, headers={"Accept": "text/plain"})
    response = connection.getresponse()
    body = response.read(_MOST_BYTES + 1)
    if response.status not in fine:
        raise http.client.HTTPException(f"{path} answers {response.status}")
    if len(body) > _MOST_BYTES:
        raise http.client.HTTPException(f"{path} answers more than {_MOST_BYTES} bytes")
    return body.decode()
