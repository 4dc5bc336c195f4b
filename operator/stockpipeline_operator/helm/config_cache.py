"""Keeps the configurations of the Helm SDK that were used last.

One of them is for one namespace and carries what it learned of the API (the discovery data): making it anew
for each change would cost as much as the change, and keeping one for each namespace would never end.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Closeable(Protocol):
    """Something that holds memory outside Python until it is closed."""

    def close(self) -> None:
        """Give the memory back."""


Config = TypeVar("Config", bound=Closeable)


@dataclass
class _Entry(Generic[Config]):
    config: Config
    users: int = 0


class ConfigCache(Generic[Config]):
    """At most `limit` configurations that nobody uses at the moment. May be used by many threads."""

    def __init__(self, make: Callable[[str], Config], limit: int) -> None:
        self._make = make
        self._limit = limit
        self._entries: OrderedDict[str, _Entry[Config]] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def use(self, namespace: str) -> Iterator[Config]:
        """The namespace's configuration; it is not closed before the end of the block."""
        with self._lock:
            entry = self._entries.get(namespace)
            if entry is None:
                entry = self._entries[namespace] = _Entry(self._make(namespace))
            entry.users += 1
            self._entries.move_to_end(namespace)
        try:
            yield entry.config
        finally:
            with self._lock:
                entry.users -= 1
                self._shrink()

    def _shrink(self) -> None:
        idle = [namespace for namespace, entry in self._entries.items() if not entry.users]
        for namespace in idle[: max(0, len(self._entries) - self._limit)]:
            self._entries.pop(namespace).config.close()
