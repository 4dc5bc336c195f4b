"""`stockpipeline signals`: the newest signals in the pipeline's topic."""

import sys
import time
from contextlib import closing
from typing import TextIO

from stockpipeline.adapters.kafka_client import KafkaUnavailable
from stockpipeline.adapters.kafka_reader import TopicReader
from stockpipeline.adapters.kafka_tail import backwards
from stockpipeline.api import PipelineConfig, Topic
from stockpipeline.signals.signal import Signal, decode_signal, encode_signal

_PATIENCE_SECONDS = 20.0


def show(config: PipelineConfig, count: int, *, as_json: bool, out: TextIO) -> int:
    """Print the newest `count` committed signals by event time, oldest first; return the exit status."""
    try:
        signals = last_signals(config, count)
    except KafkaUnavailable as error:
        print(f"Kafka at {config.bootstrap_servers}: {error}", file=sys.stderr)
        return 1
    for signal in signals:
        print(encode_signal(signal).decode() if as_json else format_signal(signal), file=out)
    return 0


def last_signals(config: PipelineConfig, count: int) -> list[Signal]:
    """Return the newest `count` committed signals by event time, oldest first.

    Raises:
        KafkaUnavailable: no broker answered in time, or the topic does not exist.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    topic = config.names.topic(Topic.SIGNALS)
    signals: list[Signal] = []
    with closing(TopicReader(config.bootstrap_servers, f"{config.names.prefix}.cli", topic)) as reader:
        for partition in reader.partitions():
            wanted = len(signals) + count
            for window in backwards(reader, partition, lambda: time.monotonic() < deadline):
                values = (message.value() for message in window)
                signals += [decode_signal(value) for value in values if value is not None]
                if len(signals) >= wanted:
                    break
    return sorted(signals, key=lambda signal: signal.ts)[-count:]


def format_signal(signal: Signal) -> str:
    """Return a signal as one line for people."""
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(signal.ts / 1000))
    values = "  ".join(f"{name} {value:.4g}" for name, value in signal.values.items())
    return (
        f"{moment}Z  {signal.symbol:<6} {signal.side:<4} {signal.rule:<21} {signal.price:>10.2f}"
        f"  confidence {signal.confidence:.2f}  {values}"
    )
