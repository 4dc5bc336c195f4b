"""Bringing partitions back to where their last owner stopped: history from Redis, then state from Kafka.

The order matters. First the committed offsets are asked for; that waits for a transaction of a former owner
that is just being committed, and after it no former owner can write. Only then is the end of the state topic
asked for, uncommitted records included, and reading up to that end waits for the commit markers. So state and
offsets are always those of the same transaction; the state's own checkpoint says so, and where the two
differ, somebody changed one of them (see `checkpoint`).
"""

from collections.abc import Callable
from contextlib import closing

import structlog

from stockpipeline.adapters.history_redis import HistoryStore, HistoryUnavailable
from stockpipeline.adapters.kafka_client import KafkaUnavailable
from stockpipeline.adapters.kafka_consumer import GroupConsumer
from stockpipeline.adapters.kafka_reader import TopicReader
from stockpipeline.detector.assignment import Assignment
from stockpipeline.detector.checkpoint import KEY, StateLost, counted_ticks, decode_checkpoint, first_offset
from stockpipeline.detector.history_watch import HistoryWatch
from stockpipeline.detector.performance import Performance
from stockpipeline.signals.detector import Detector
from stockpipeline.signals.state import BrokenState, Restored, symbol_of

_NAMED_SYMBOLS = 5
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
        performance: Performance,
        keep_waiting: Callable[[], bool],
        watch: HistoryWatch,
    ) -> None:
        self._consumer = consumer
        self._open_state = open_state
        self._history = history
        self._detector = detector
        self._assignment = assignment
        self._performance = performance
        self._keep_waiting = keep_waiting
        self._group = consumer.group
        self._watch = watch
        self._warmed_up: dict[str, str] = {}
        """The digest of the history that each symbol was warmed up from."""

    def restore_pending(self) -> str | None:
        """Restore what can be restored and let it be read; return why the rest must wait, or None.

        One partition after the other, so that no more than one partition's records are in memory twice.
        """
        pending = self._assignment.pending
        if not pending:
            return None
        missing: list[str] = []
        try:
            committed = self._consumer.committed(pending)
            # Before any is read: an answer would wait for that of the fetch, which waits for ticks.
            offsets = {partition: self._consumer.watermarks(partition) for partition in pending}
            loaded = self._history.digests()
            with closing(self._open_state()) as state:
                for partition in pending:
                    first, end = offsets[partition]
                    self._assignment.found(partition, committed[partition] or first, end)
                    lacking = [one for one in self._assignment.symbols(partition) if one not in loaded]
                    missing += lacking
                    if not lacking:
                        self._restore(partition, committed[partition], (first, end), state)
        except (KafkaUnavailable, HistoryUnavailable, BrokenState) as error:
            return str(error)
        return _missing_history(missing, self._history.url) if missing else None

    def outdated(self) -> list[int]:
        """Return the restored partitions with symbols whose history is another one now, if that is news."""
        digests = self._watch.news()
        if digests is None:
            return []
        found = []
        for partition in self._assignment.active:
            # A history that is gone changes nothing for a detector that has it.
            changed = [
                symbol
                for symbol in self._assignment.symbols(partition)
                if digests.get(symbol, self._warmed_up[symbol]) != self._warmed_up[symbol]
            ]
            if changed:
                named = ", ".join(changed[:_NAMED_SYMBOLS])
                _log.info("histories have changed", partition=partition, count=len(changed), symbols=named)
                found.append(partition)
        return found

    def _restore(
        self, partition: int, committed: int | None, ticks: tuple[int, int], state: TopicReader
    ) -> None:
        """Restore one partition, whose ticks have these offsets [first, end), and let it be read."""
        self._warm_up(partition)
        records, checkpoint = self._read_state(partition, state)
        try:
            counted = counted_ticks(committed, checkpoint, bool(records))
        except StateLost as lost:
            raise BrokenState(
                f"the state topic {state.topic} has lost records of partition {partition}: {lost}; restore "
                f"them, or stop the detector and delete the consumer group {self._group}: it then goes on "
                "from what the state has, and gives signals since then once more, with the same ids"
            ) from None
        position, explanation = first_offset(counted, *ticks)
        if explanation:
            _log.error("ticks are missing", topic=self._consumer.topic, partition=partition, why=explanation)
        symbols = self._assignment.symbols(partition)
        for symbol in symbols:
            restored = self._detector.restore(symbol, records.get(symbol, {}))
            if restored is Restored.HISTORY_CHANGED:
                _log.warning("history is another one than before; it counts", symbol=symbol)
        self._assignment.found(partition, position, ticks[1])
        self._performance.restored(partition)
        self._assignment.restored(partition)
        self._consumer.begin(partition, position)
        _log.info("partition restored", partition=partition, symbols=len(symbols), offset=position)

    def _warm_up(self, partition: int) -> None:
        symbols = self._assignment.symbols(partition)
        for symbol, series in self._history.get_many(symbols).items():
            if series is None:
                raise HistoryUnavailable(f"the history of {symbol} is gone from Redis at {self._history.url}")
            self._detector.warm_up(symbol, series)
            self._warmed_up[symbol] = series.digest()
            self._keep_waiting()

    def _read_state(
        self, partition: int, state: TopicReader
    ) -> tuple[dict[str, dict[str, bytes]], int | None]:
        """Return the newest records of each symbol (key → value), and the checkpoint, if there is one."""
        newest: dict[str, dict[str, bytes]] = {}
        checkpoint: int | None = None
        for message in state.read({partition: state.range(partition)}, self._keep_waiting):
            key, value = message.key(), message.value()
            if key is None:
                continue
            name = key.decode()
            if value is None:
                newest.get(symbol_of(name), {}).pop(name, None)
            elif name == KEY:
                checkpoint = decode_checkpoint(value)
            else:
                newest.setdefault(symbol_of(name), {})[name] = value
        return newest, checkpoint


def _missing_history(symbols: list[str], url: str) -> str:
    named = ", ".join(symbols[:_NAMED_SYMBOLS])
    if len(symbols) > _NAMED_SYMBOLS:
        named += f" and {len(symbols) - _NAMED_SYMBOLS} more"
    return f"Redis at {url} has no history of {named}; `stockpipeline history load` puts it there"
