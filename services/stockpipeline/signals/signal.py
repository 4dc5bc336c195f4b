"""A signal: a rule that fired for a symbol, with the values that made it fire.

Its id is a function of its content, so the same tick replayed after a crash gives the same id, and a reader
can drop duplicates without asking anyone.
"""

import struct
from hashlib import blake2b

import msgspec

_ID_NUMBERS = struct.Struct("<qd")


class Signal(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One firing of one rule.

    ``pipeline`` is ``NAMESPACE/NAME``; ``price`` and ``ts`` are those of the tick that fired; ``bar`` is the
    ISO date of its session; ``values`` are the indicator values on the forming bar that the rule reads;
    ``confidence`` in [0, 1] says how far the indicators had converged; ``source`` is the tick's;
    ``strength`` in [0, 1) is the rule's weight beside others; where it is 1, it is None and not on the wire.
    """

    id: str
    pipeline: str
    symbol: str
    rule: str
    side: str
    price: float
    ts: int
    bar: str
    values: dict[str, float]
    confidence: float
    source: str
    strength: float | None = None


def signal_id(pipeline: str, symbol: str, rule: str, side: str, bar: str, ts: int, price: float) -> str:
    """Return 32 hex digits: BLAKE2b over the texts (UTF-8, NUL-terminated), ts (int64), price (float64)."""
    texts = "".join(f"{text}\0" for text in (pipeline, symbol, rule, side, bar))
    return blake2b(texts.encode() + _ID_NUMBERS.pack(ts, price), digest_size=16).hexdigest()


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Signal)


def encode_signal(signal: Signal) -> bytes:
    """Return the signal as one line of JSON, without a newline."""
    return _encoder.encode(signal)


def decode_signal(data: bytes) -> Signal:
    """Return the signal in ``data``; raise ``msgspec.DecodeError`` for anything else."""
    return _decoder.decode(data)
