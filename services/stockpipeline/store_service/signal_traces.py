"""How traces of signals end: in the master, and in a generation that replicas can pull."""

import time

from confluent_kafka import Message

from stockpipeline.runtime import tracing


class SignalTraces:
    """The traces of signals that were read, and those whose signals are committed and not published yet."""

    def __init__(self, *, publishes: bool) -> None:
        self._publishes = publishes
        self._read: list[tuple[str, int]] = []
        """What leads to the trace, and when the signal came to Kafka (epoch ms)."""
        self._committed: list[tuple[str, float]] = []

    def read(self, message: Message) -> None:
        """Note the record of a signal, if its trace is told of in a header."""
        if not tracing.enabled():
            return
        headers = message.headers()
        for name, value in headers if isinstance(headers, list) else ():
            if name == tracing.TRACEPARENT and isinstance(value, bytes):
                self._read.append((value.decode(errors="replace"), message.timestamp()[1]))

    def committed(self) -> None:
        """Say that the signals that were read are in the master."""
        now = time.time() * 1000
        for traceparent, arrived in self._read:
            tracing.add("signal is stored", traceparent, arrived, now)
        if self._publishes:
            self._committed += [(traceparent, now) for traceparent, _ in self._read]
        self._read = []

    def published(self, generation: int) -> None:
        """Say that all that was committed is in a generation."""
        now = time.time() * 1000
        for traceparent, committed in self._committed:
            tracing.add("signal is published", traceparent, committed, now, generation=generation)
        self._committed = []
