"""What the producers of a pipeline say of their newest tick, from the metrics that they export anyway."""

import datetime
import http.client
import socket
from collections.abc import Iterable
from dataclasses import dataclass

_PORT = 8080
_TIMEOUT_SECONDS = 2.0
_EVENT_TIME = "stockpipeline_producer_event_time_seconds"
_EXHAUSTED = "stockpipeline_producer_exhausted"


class NoReading(Exception):
    """No producer answers; the text says why."""


@dataclass(frozen=True)
class Reading:
    """The state of a pipeline's producers together."""

    event_time: datetime.datetime | None
    """Event time of the newest tick; None: none was sent yet."""
    exhausted: bool = False
    """Whether every source has come to its end."""


def read(namespace: str, name: str) -> Reading:
    """Ask every producer of a pipeline.

    Raises:
        NoReading: none answers.
    """
    host = f"{name}-producer.{namespace}.svc"
    try:
        found = socket.getaddrinfo(host, _PORT, type=socket.SOCK_STREAM)
        return combined(parse(_metrics(str(address[0]))) for *_, address in found)
    except (OSError, http.client.HTTPException) as error:
        raise NoReading(f"{host}:{_PORT}: {error}") from error


def combined(readings: Iterable[Reading]) -> Reading:
    """The newest event time of all; exhausted where all are."""
    every = list(readings)
    times = [one.event_time for one in every if one.event_time is not None]
    return Reading(max(times, default=None), bool(every) and all(one.exhausted for one in every))


def parse(text: str) -> Reading:
    """Read the two gauges in Prometheus' text format."""
    newest, exhausted = 0.0, False
    for line in text.splitlines():
        if line.startswith(_EVENT_TIME):
            newest = max(newest, float(line.rpartition(" ")[2]))
        elif line.startswith(_EXHAUSTED):
            exhausted = float(line.rpartition(" ")[2]) > 0
    # A gauge that was never set is 0.
    event_time = datetime.datetime.fromtimestamp(newest, datetime.UTC) if newest else None
    return Reading(event_time, exhausted)


def _metrics(address: str) -> str:
    connection = http.client.HTTPConnection(address, _PORT, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/metrics", headers={"Accept": "text/plain"})
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise http.client.HTTPException(f"/metrics answers {response.status}")
        return response.read().decode()
    finally:
        connection.close()
