"""Dead letters: what could not be used, with its original bytes and where it came from.

Headers (UTF-8): `reason` (a stable code), `message` (a sentence), `topic`, `partition` and `offset` of the
original. Key and value are the original bytes, unless Kafka would refuse the letter for its size: then both
are cut and the header `original-size` has the bytes of the whole value.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import Message

MAX_BYTES = 1_020_000
"""Of key, value and headers together: what clients send by default (1,000,000) and the headers, and less than
what brokers take by default (1,048,588 with what surrounds a record)."""
MAX_EXPLANATION = 200
"""Characters of the header `message`; it may quote what it is about."""
_CUT_KEY_BYTES = 1000


@dataclass(frozen=True)
class DeadLetter:
    """A record for the dead-letter topic."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, str | bytes | None]]


def dead_letter(message: Message, reason: str, explanation: str) -> DeadLetter:
    """Return the dead letter of a consumed message."""
    key, value = message.key(), message.value()
    texts = {
        "reason": reason,
        "message": explanation[:MAX_EXPLANATION],
        "topic": message.topic() or "",
        "partition": str(message.partition()),
        "offset": str(message.offset()),
    }
    if len(key or b"") + len(value or b"") + _size(texts) > MAX_BYTES:
        texts["original-size"] = str(len(value or b""))
        key = key and key[:_CUT_KEY_BYTES]
        value = value and value[: MAX_BYTES - _CUT_KEY_BYTES - _size(texts)]
    return DeadLetter(key, value, list(texts.items()))


def _size(texts: Mapping[str, str]) -> int:
    return sum(len(name.encode()) + len(text.encode()) for name, text in texts.items())
