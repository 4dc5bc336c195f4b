"""Bringing partitions back to where their last owner stopped: history from Redis, then state from Kafka.

The order matters. First the committed offsets are asked for; that waits for a transaction of a former owner
that is just being committed, and after it no former owner can write. Only then is the end of the state topic
asked for, uncommitted records included, and reading up to that end waits for the commit markers. So state and
offsets are always those of the same transaction.
"""

import time
from collections.abc import Callable
from contextlib import closing

import structlog

from stockpipeline.adapters.history_redis import HistoryStore, HistoryUnavailable
from stockpipeline.adapters.kafka_client import KafkaUnavailable
from stockpipeline.adapters.kafka_consumer import GroupConsumer
from stockpipeline.adapters.kafka_reader import TopicReader
from stockpipeline.detector.assignment import Assignment
from stockpipeline.signals.detector import Detector
from stockpipeline.signals.state import BrokenState, Restored, symbol_of

_NAMED_SYMBOLS = 5
_PATIENCE_SECONDS = 10.0
_log = structlog.get_logger()


class Restorer:
    """Restores the pending partitions of an assignment."""

    def __init__(
        self,
        consumer: GroupConsumer,
        open_state: Callable[[], TopicReader],
        history: HistoryStore,
        detector: Detector,
        assignment: Assignment,
        keep_waiting: Callable[[], bool],
    ) -> None:
        self._consumer = consumer
        self._open_state = open_state
        self._history = history
        self._detector = detector
        self._assignment = assignment
        self._keep_waiting = keep_waiting

    def restore_pending(self) -> str | None:
        """Restore what can be restored and let it be read; return why the rest must wait, or None."""
        pending = self._assignment.pending
        if not pending:
            return None
        try:
            self._find_positions(pending)
            missing = self._warm_up(pending)
            complete = [partition for partition in pending if not missing[partition]]
            self._read_state(complete)
        except (KafkaUnavailable, HistoryUnavailable, BrokenState) as error:
            return str(error)
        for partition in complete:
            self._assignment.restored(partition)
            self._consumer.resume(partition)
            _log.info(
                "partition restored",
                partition=partition,
                symbols=len(self._assignment.symbols(partition)),
                offset=self._assignment.progress(partition).position,
            )
        symbols = [symbol for partition in pending for symbol in missing[partition]]
        return _missing_history(symbols, self._history.url) if symbols else None

    def _find_positions(self, partitions: list[int]) -> None:
        for partition, committed in self._consumer.committed(partitions).items():
            first, end = self._consumer.watermarks(partition)
            position, explanation = first_offset(committed, first, end)
            if explanation and self._assignment.progress(partition).position is None:
                _log.error(
                    "ticks are missing", topic=self._consumer.topic, partition=partition, why=explanation
                )
            self._assignment.found(partition, position, end)

    def _warm_up(self, partitions: list[int]) -> dict[int, list[str]]:
        """Warm up all symbols of those partitions that have all their history; return what others lack."""
        loaded = self._history.digests()
        missing = {
            partition: [symbol for symbol in self._assignment.symbols(partition) if symbol not in loaded]
            for partition in partitions
        }
        complete = [partition for partition in partitions if not missing[partition]]
        symbols = [symbol for partition in complete for symbol in self._assignment.symbols(partition)]
        for symbol, series in self._history.get_many(symbols).items():
            if series is None:
                raise HistoryUnavailable(f"the history of {symbol} is gone from Redis at {self._history.url}")
            self._detector.warm_up(symbol, series)
        return missing

    def _read_state(self, partitions: list[int]) -> None:
        if not partitions:
            return
        newest: dict[str, dict[str, bytes]] = {}
        with closing(self._open_state()) as state:
            ranges = {partition: state.range(partition) for partition in partitions}
            for message in state.read(ranges, self._patience()):
                key, value = message.key(), message.value()
                if key is not None and value is not None:
                    newest.setdefault(symbol_of(key.decode()), {})[key.decode()] = value
        for partition in partitions:
            for symbol in self._assignment.symbols(partition):
                restored = self._detector.restore(symbol, newest.get(symbol, {}))
                if restored is Restored.HISTORY_CHANGED:
                    _log.warning("history is another one than before; it counts", symbol=symbol)

    def _patience(self) -> Callable[[], bool]:
        """Return whether to wait on, as a function; not forever, because the group wants to be polled."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        return lambda: self._keep_waiting() and time.monotonic() < deadline


def first_offset(committed: int | None, first: int, end: int) -> tuple[int, str]:
    """Return where to begin reading, and what is missing there, in words ("" when nothing is).

    `first` and `end` are the partition's first offset and the one after its last.
    """
    if committed is None:
        return first, ""
    if committed < first:
        return first, (
            f"offset {committed} comes next, but the topic begins at {first}: "
            f"{first - committed} ticks are past its retention"
        )
    if committed > end:
        return first, f"offset {committed} comes next, but the topic ends at {end}: it was made anew"
    return committed, ""


def _missing_history(symbols: list[str], url: str) -> str:
    named = ", ".join(symbols[:_NAMED_SYMBOLS])
    if len(symbols) > _NAMED_SYMBOLS:
        named += f" and {len(symbols) - _NAMED_SYMBOLS} more"
    return f"Redis at {url} has no history of {named}; `stockpipeline history load` puts it there"
