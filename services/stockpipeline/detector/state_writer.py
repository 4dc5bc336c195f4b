"""What the next commit has of each symbol that changed, and how far ticks are processed.

A symbol's records go to the partition with the number of its ticks' partition, whatever their key: whoever
owns the ticks of a symbol finds all of its state by that number.
"""

from collections.abc import Callable, Iterable, Mapping

from stockpipeline.adapters.kafka_transactions import KeepWaiting, TransactionalProducer
from stockpipeline.detector.checkpoint import KEY, encode_checkpoint
from stockpipeline.detector.performance import NOT_JUDGED, Performance
from stockpipeline.signals.state import StateRecord


class StateWriter:
    """Gathers what changed, and writes each changed symbol once into an open transaction."""

    def __init__(
        self,
        producer: TransactionalProducer,
        topic: str,
        changes: Callable[[str], Iterable[StateRecord]],
        partition_of: Mapping[str, int],
        keep_waiting: KeepWaiting,
        performance: Performance = NOT_JUDGED,
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._changes = changes
        self._partition_of = partition_of
        self._performance = performance
        self._keep_waiting = keep_waiting
        self._begin()

    def changed(self, symbols: Iterable[str]) -> None:
        """Note that the state of these symbols changed."""
        self._changed.update(symbols)

    def processed(self, positions: Mapping[int, int]) -> None:
        """Note up to where ticks are processed: partition → next offset."""
        self._positions.update(positions)

    def write(self) -> dict[int, int]:
        """Write what was noted; return the noted offsets, which belong into the same transaction.

        Raises:
            TransactionFailed, KafkaFatal: see ``TransactionalProducer.send``.
        """
        send, topic, keep_waiting = self._producer.send, self._topic, self._keep_waiting
        for symbol in self._changed:
            partition = self._partition_of[symbol]
            for key, value in self._changes(symbol):
                send(topic, value, key, keep_waiting, partition=partition)
        for partition, offset in self._positions.items():
            send(topic, encode_checkpoint(offset), KEY, keep_waiting, partition=partition)
        self._performance.write(self._changed)
        positions = self._positions
        self._begin()
        return positions

    def committed(self) -> None:
        """What was written is committed."""
        self._performance.committed()

    def clear(self) -> None:
        """Forget what was noted, and what was written: it will not be committed."""
        self._begin()
        self._performance.clear()

    def _begin(self) -> None:
        self._changed: set[str] = set()
        self._positions: dict[int, int] = {}
