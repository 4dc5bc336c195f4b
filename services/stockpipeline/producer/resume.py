"""What was sent before: the newest tick of each symbol, from the ticks topic itself.

The topic is the only place that knows for certain, so there is nothing that could disagree with it. This
holds while one producer sends a symbol at a time: there is one only, whose Deployment recreates instead of
rolling, or several share them (see `share`). Ticks that are older
than the topic's retention are gone from it, though: of a symbol whose ticks all are, the detector's state
still says which one was taken last.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import Message

from stockpipeline.adapters.kafka_partitioning import partition_of
from stockpipeline.adapters.kafka_reader import TopicReader
from stockpipeline.adapters.kafka_tail import backwards
from stockpipeline.market.ticks import MalformedTick, decode_tick
from stockpipeline.signals.state import read_records


@dataclass(frozen=True)
class SentBefore:
    """Finds the numbers (`seq`) of the ticks that were sent before.

    `say` is told what is being read; `keep_waiting` is asked at least twice a second.
    """

    ticks: TopicReader
    state: TopicReader
    keep_waiting: Callable[[], bool]
    say: Callable[[str], None]

    def last_numbers(self, symbols: Iterable[str], source: str) -> dict[str, int]:
        """Return the highest number of the source's ticks for each symbol that has any.

        Reads back as far as the topic goes when a symbol has none.

        Raises:
            KafkaUnavailable: a topic cannot be read, or `keep_waiting` said no.
            BrokenState: the detector's state is needed and of another version.
        """
        partitions = self.ticks.partitions()
        wanted: dict[int, set[str]] = {partition: set() for partition in partitions}
        for symbol in symbols:
            wanted[partition_of(symbol, len(partitions))].add(symbol)
        numbers: dict[str, int] = {}
        for partition, symbols_there in wanted.items():
            if not symbols_there:
                continue
            self.say(
                f"reading {self.ticks.topic}/{partition} backwards for the newest ticks of "
                f"{len(symbols_there)} symbols"
            )
            found = self._in_ticks(partition, symbols_there, source)
            missing = symbols_there - found.keys()
            if missing and self.ticks.range(partition)[0] > 0:
                self.say(
                    f"reading {self.state.topic}/{partition} for {len(missing)} symbols: old ticks are gone "
                    "from the topic"
                )
                found.update(self._in_state(partition, missing))
            numbers.update(found)
        return numbers

    def _in_ticks(self, partition: int, symbols: set[str], source: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for window in backwards(self.ticks, partition, self.keep_waiting):
            for symbol, number in highest_numbers(window, source).items():
                # A tick that was sent again may be behind newer ones.
                found[symbol] = max(number, found.get(symbol, 0))
            if symbols <= found.keys():
                break
        return found

    def _in_state(self, partition: int, symbols: set[str]) -> dict[str, int]:
        newest: dict[str, bytes] = {}
        for message in self.state.read({partition: self.state.range(partition)}, self.keep_waiting):
            key, value = (message.key() or b"").decode(), message.value()
            if key in symbols and value is not None:
                newest[key] = value
        return taken_numbers(newest)


def highest_numbers(messages: Iterable[Message], source: str) -> dict[str, int]:
    """Return the highest number of the source's ticks in the messages, per symbol; others are passed by."""
    numbers: dict[str, int] = {}
    for message in messages:
        try:
            tick = decode_tick(message.value() or b"")
        except MalformedTick:
            continue
        if tick.source == source and tick.seq is not None:
            numbers[tick.symbol] = max(tick.seq, numbers.get(tick.symbol, 0))
    return numbers


def taken_numbers(snapshots: Mapping[str, bytes]) -> dict[str, int]:
    """Return the highest number that the detector took of each symbol, from its snapshots; none where 0.

    Raises:
        BrokenState: a snapshot cannot be read.
    """
    numbers: dict[str, int] = {}
    for symbol, value in snapshots.items():
        snapshot, _bars = read_records(symbol, {symbol: value})
        if snapshot is not None and snapshot.newest_number:
            numbers[symbol] = snapshot.newest_number
    return numbers
