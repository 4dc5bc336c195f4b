"""Which ticks were sent before."""

import json

from confluent_kafka import Message

from stockpipeline.producer.resume import highest_numbers


def _tick(symbol: str, seq: int | None, source: str = "replay") -> Message:
    fields = {
        "symbol": symbol,
        "price": 1,
        "volume": 1,
        "ts": 1357137000000,
        "source": source,
        "session": "regular",
    }
    return Message(
        "ticks", 0, 1, None, json.dumps({**fields, **({} if seq is None else {"seq": seq})}).encode()
    )


def test_the_highest_number_of_each_symbol_counts_whatever_their_order() -> None:
    messages = [_tick("IBM", 1), _tick("AAPL", 7), _tick("IBM", 3), _tick("IBM", 2)]
    assert highest_numbers(messages, "replay") == {"IBM": 3, "AAPL": 7}


def test_what_another_source_or_nobody_numbered_is_passed_by() -> None:
    messages = [
        _tick("IBM", 9, source="other"),
        _tick("IBM", None),
        Message("ticks", 0, 2, None, b"nonsense"),
        Message("ticks", 0, 3, None, b'{"symbol":' * 100_000),
    ]
    assert highest_numbers(messages, "replay") == {}
