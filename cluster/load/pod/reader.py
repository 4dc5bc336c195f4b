"""Asks replicas by SQL for a chosen time and prints, as JSON, what came back and how fast.

Needs nothing but Python. Prints {"bounds": upper bounds of the delays in ms, "windows": [{"at", "requests",
"failed", "delays": {index of the bound: count}, "errors": {kind: count}}]}, a window for each 5 seconds.
"""

from __future__ import annotations

import bisect
import http.client
import json
import sys
import threading
import time
from collections import Counter

# As dashboards and analysts ask: the last of a symbol, and sums over all.
QUERIES = (
    "SELECT * FROM signals WHERE symbol = 'IBM' ORDER BY ts DESC LIMIT 20",
    "SELECT rule, side, count(*) FROM signals GROUP BY ALL ORDER BY ALL",
    "SELECT symbol, max(ts), count(*) FROM signals GROUP BY ALL ORDER BY ALL",
    "SELECT count(*) FROM performance",
)
# Neighbours differ by a tenth, from a tenth of a millisecond to 60 s: what lies between is known to 10 %.
BOUNDS = tuple(0.1 * 1.1**step for step in range(141))
WINDOW = 5
_TIMEOUT = 10.0


class Tally:
    """Counts answers by the window in which they were asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[int, tuple[Counter[int], Counter[str]]] = {}

    def add(self, asked_at: float, seconds: float, error: str | None) -> None:
        """Count one; `asked_at` in seconds since the epoch."""
        with self._lock:
            key = int(asked_at // WINDOW) * WINDOW
            delays, errors = self._windows.setdefault(key, (Counter(), Counter()))
            if error is None:
                delays[min(bisect.bisect_left(BOUNDS, seconds * 1000), len(BOUNDS) - 1)] += 1
            else:
                errors[error] += 1

    def as_json(self) -> dict[str, object]:
        """Return all of it."""
        windows = [
            {
                "at": at,
                "requests": delays.total() + errors.total(),
                "failed": errors.total(),
                "delays": dict(delays),
                "errors": dict(errors),
            }
            for at, (delays, errors) in sorted(self._windows.items())
        ]
        return {"bounds": BOUNDS, "windows": windows}


class Reader(threading.Thread):
    """One client with a connection of its own, which it makes anew after a failure."""

    def __init__(self, address: str, tally: Tally, first: int, pause: float, until: float) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._tally = tally
        self._asked = first
        self._pause = pause
        self._until = until
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        """Ask until the time is over; a client that is late does not make up for what it could not ask."""
        next_at = time.monotonic() + self._pause * self._asked / len(QUERIES)
        while time.monotonic() < self._until:
            wait = next_at - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            next_at = max(next_at + self._pause, time.monotonic())
            asked_at, began = time.time(), time.monotonic()
            error = self._ask(QUERIES[self._asked % len(QUERIES)])
            self._asked += 1
            self._tally.add(asked_at, time.monotonic() - began, error)
            if error is not None:
                # Who is refused at once would otherwise count thousands of failures in the time of one.
                time.sleep(0.1)

    def _ask(self, sql: str) -> str | None:
        """Return None, or what went wrong."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT)
            self._connection.request("POST", "/query", json.dumps({"sql": sql}))
            answer = self._connection.getresponse()
            body = answer.read()
            if answer.status != http.client.OK:
                return f"status {answer.status}"
            json.loads(body)["rows"]
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            return type(error).__name__
        return None


def main() -> None:
    """Read the task from the first argument: address, clients, reads a second (0: no pause) and seconds."""
    task = json.loads(sys.argv[1])
    tally = Tally()
    clients = task["clients"]
    pause = clients / task["reads"] if task["reads"] else 0.0
    until = time.monotonic() + task["seconds"]
    readers = [Reader(task["address"], tally, first, pause, until) for first in range(clients)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    print(json.dumps(tally.as_json()))


if __name__ == "__main__":
    main()
