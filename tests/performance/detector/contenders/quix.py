"""Quix Streams with TA-Lib's streaming handles; indicators in memory, which is its fastest way."""

from __future__ import annotations

from typing import Any

import numpy as np
from quixstreams import Application
from talib import stream

from tests.performance.detector.contenders.job import Job, Latches, Watch


def main() -> None:
    """Run the application over all ticks."""
    job, watch = Job.from_arguments(), Watch()
    state = {}
    for symbol, closes in job.closes().items():
        column = np.array(closes)
        handles = (
            stream.RSI(column, timeperiod=14),
            stream.MACD(column, fastperiod=12, slowperiod=26, signalperiod=9),
            stream.BBANDS(column, timeperiod=20, nbdevup=2, nbdevdn=2),
        )
        state[symbol] = (*handles, handles[1].value[2], Latches())

    def signals(tick: dict[str, Any]) -> list[dict[str, Any]]:
        watch.began()
        watch.ticks += 1
        if watch.ticks == job.ticks:
            # What follows is waiting for more, and the end.
            watch.ended()
        symbol, price = tick["symbol"], tick["price"]
        rsi, macd, bb, before, latches = state[symbol]
        upper, _middle, lower = bb.peek(price)
        fired = latches.fire(price, rsi.peek(price), macd.peek(price)[2], before, upper, lower)
        watch.signals += fired
        return [{"symbol": symbol, "price": price}] * fired

    application = Application(
        broker_address=job.kafka,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        loglevel="ERROR",
        consumer_extra_config={"fetch.queue.backoff.ms": 10},
    )
    frame = application.dataframe(application.topic(job.topic, value_deserializer="json"))
    frame = frame.apply(signals, expand=True)
    frame.to_topic(application.topic(job.output, value_serializer="json"))
    application.run(count=job.ticks, timeout=10)
    watch.report()


if __name__ == "__main__":
    main()
