"""The native path through a detector: the messages that only revise a forming bar, many at a time.

    fast = FastPath(detector, partition_of)
    at = fast.take(messages, 0, changed)      # messages[at] is for Python: decode_tick, detector.on_tick, …
    at = fast.take(messages, at + 1, changed)

Taking every message in Python instead gives the same signals and the same state, to the byte.
"""

from collections.abc import Mapping
from typing import Any

from stockpipeline.signals.detector import Detector
from stockpipeline_native import Batch, Messages


class FastPath:
    """The symbols of a detector whose ticks can be taken without Python."""

    def __init__(self, detector: Detector, partition_of: Mapping[str, int]) -> None:
        self._detector = detector
        self._partition_of = dict(partition_of)
        self._batch = Batch(detector.room, max(self._partition_of.values(), default=0) + 1)
        self._generation = -1

    def admit(self, partition: int, latest_ms: int) -> None:
        """Let ticks of a partition pass up to this event time (epoch ms); at first, and again whenever the
        detector's symbols change, none passes."""
        self._batch.admit(partition, latest_ms)

    def take(self, messages: Messages | list[Any], start: int, changed: list[str]) -> int:
        """Take messages from a position on; return that of the first one that is for Python, or the end.

        Those of a list have Kafka's methods value and partition. Appends the symbols whose state changed.
        """
        if self._generation != self._detector.generation:
            self._batch.own(self._detector.lanes, self._partition_of)
            self._generation = self._detector.generation
        return self._batch.take(messages, start, changed)
