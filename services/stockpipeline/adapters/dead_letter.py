"""Dead letters: what could not be used, with its original bytes and where it came from.

Headers (UTF-8): `reason` (a stable code), `message` (a sentence), `topic`, `partition` and `offset` of the
original. Key and value are the original bytes.
"""

from dataclasses import dataclass

from confluent_kafka import Message


@dataclass(frozen=True)
class DeadLetter:
    """A record for the dead-letter topic."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, str | bytes | None]]


def dead_letter(message: Message, reason: str, explanation: str) -> DeadLetter:
    """Return the dead letter of a consumed message."""
    return DeadLetter(
        message.key(),
        message.value(),
        [
            ("reason", reason),
            ("message", explanation),
            ("topic", message.topic()),
            ("partition", str(message.partition())),
            ("offset", str(message.offset())),
        ],
    )
