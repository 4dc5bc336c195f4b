"""How far the stored state of a partition goes, and where to go on reading.

In each partition of the state topic one record says which tick of the partition comes next after those that
the state has counted. It is written together with the state, so it is what the state itself says; what the
consumer group says can be reset, expire, or outlive a state topic that was lost.
"""

import msgspec

from stockpipeline.signals.state import BrokenState

KEY = "/next"
"""No symbol is called so: symbols are not empty, and a closed bar's key begins with its symbol."""
_VERSION = 1


class StateLost(Exception):
    """The state topic does not have what the consumer group has committed; the message says what to do."""


class _Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    version: int
    next_offset: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Checkpoint)


def encode_checkpoint(next_offset: int) -> bytes:
    """Return the record's value: the offset of the first tick that the state has not counted."""
    return _encoder.encode(_Checkpoint(_VERSION, next_offset))


def decode_checkpoint(value: bytes) -> int:
    """Return the offset in a record's value; raise ``BrokenState`` if it cannot be read."""
    try:
        checkpoint = _decoder.decode(value)
    except msgspec.DecodeError as error:
        raise BrokenState(f"the stored state {KEY!r} cannot be read: {error}") from None
    if checkpoint.version != _VERSION:
        raise BrokenState(
            f"the stored state {KEY!r} has version {checkpoint.version}, this program reads {_VERSION}"
        )
    return checkpoint.next_offset


def counted_ticks(committed: int | None, stored: int | None, any_state: bool) -> int | None:
    """Return the offset of the first tick that the state has not counted; None for a state that begins.

    ``committed`` is the group's offset, ``stored`` the checkpoint's; ``any_state``: whether the partition of
    the state topic has any record.

    Raises:
        StateLost: ticks were counted that the state does not know of.
    """
    if stored is None:
        if committed and not any_state:
            raise StateLost(f"it is empty, but the group has committed {committed}")
        return committed
    if committed is not None and committed > stored:
        raise StateLost(f"it ends before offset {stored}, but the group has committed {committed}")
    return stored


def first_offset(counted: int | None, first: int, end: int) -> tuple[int, str]:
    """Return where to begin reading, and what is missing there, in words ("" when nothing is).

    `first` and `end` are the partition's first offset and the one after its last.
    """
    if counted is None:
        return first, ""
    if counted < first:
        return first, (
            f"offset {counted} comes next, but the topic begins at {first}: "
            f"{first - counted} ticks are past its retention"
        )
    if counted > end:
        return first, f"offset {counted} comes next, but the topic ends at {end}: it was made anew"
    return counted, ""
