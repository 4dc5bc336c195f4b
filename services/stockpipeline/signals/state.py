"""What must outlive a detector's process: the state of a symbol since its history, as records.

The records go to a compacted topic, written in the same transaction as the signals they led to:

* key ``AAPL``: the snapshot, small and rewritten with every change: the forming bar, the latches, which ticks
  were taken, and the digest of the history that all this builds on;
* key ``AAPL/2004-01-02`` (``AAPL/2004-01-02T14:30Z`` intraday): a bar that was closed since the history,
  written once, and deleted where it is not needed any more. (Kept in the snapshot they would make it grow
  with every bar, and late in a replay each transaction would carry years of them.)
* key ``AAPL/performance``: the open positions of its signals (see ``performance.book``), written when one of
  them changes.

Values are MessagePack arrays that begin with a version. TA-Lib's handles cannot be stored; they are opened
again on history and closed bars, which gives the same bits.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

from stockpipeline.market.bars import Bar
from stockpipeline.market.corporate_actions import Rescaling
from stockpipeline.market.sessions import bar_iso

VERSION = 1
_SEPARATOR = "/"


class BrokenState(ValueError):
    """Stored records that this version cannot read, or that do not belong together."""


class StateRecord(NamedTuple):
    """One record for the compacted topic; no value: the key is not needed any more."""

    key: str
    value: bytes | None


class Restored(StrEnum):
    """What a restored symbol goes on from."""

    EXACT = "exact"
    """Everything is as it was."""
    NEW = "new"
    """Nothing was stored: it begins at its history."""
    HISTORY_CHANGED = "history-changed"
    """The history is another one now: it counts, and of the bars only newer ones were taken over."""


class FormingBar(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A bar that still trades; ``ts`` is the event time (epoch ms) of its newest trade."""

    session: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    ts: int


class StoredLatch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A latch, by the fingerprint of its rule (see ``latch``)."""

    fingerprint: str
    armed: bool
    bars_since: int | None


class Trade(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is compared to recognise a repeated trade of a source that does not number them."""

    ts: int
    price: float
    volume: float


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """A symbol's state but for its closed bars."""

    version: int
    history: str
    """Digest of the history that everything builds on."""
    closed_bars: int
    """How many bars were closed since."""
    forming: FormingBar | None
    latches: list[StoredLatch]
    last_trade: Trade | None
    newest_number: int
    missing_numbers: list[tuple[int, int]]
    rescalings: list[Rescaling] = []
    """Splits and dividends since the history; bars are stored as they were traded."""
    first_bar: int = -1
    """Bars before this number are forgotten, those of the history included."""


class _ClosedBar(msgspec.Struct, frozen=True, array_like=True):
    version: int
    bar: Bar


_encoder = msgspec.msgpack.Encoder()
_snapshot_decoder = msgspec.msgpack.Decoder(Snapshot)
_bar_decoder = msgspec.msgpack.Decoder(_ClosedBar)


def symbol_of(key: str) -> str:
    """Return the symbol that a record's key belongs to."""
    return key.partition(_SEPARATOR)[0]


def performance_key(symbol: str) -> str:
    """Return the key of a symbol's open positions."""
    return f"{symbol}{_SEPARATOR}performance"


def snapshot_record(symbol: str, snapshot: Snapshot) -> StateRecord:
    """Return the record of a snapshot."""
    return StateRecord(symbol, _encoder.encode(snapshot))


def bar_record(symbol: str, bar: Bar) -> StateRecord:
    """Return the record of a closed bar."""
    return StateRecord(_bar_key(symbol, bar), _encoder.encode(_ClosedBar(VERSION, bar)))


def forgotten_bar_record(symbol: str, bar: Bar) -> StateRecord:
    """Return the record that deletes the one of a closed bar."""
    return StateRecord(_bar_key(symbol, bar), None)


def read_records(symbol: str, records: Mapping[str, bytes]) -> tuple[Snapshot | None, list[Bar]]:
    """Return the snapshot, if there is one, and the closed bars, oldest first; raise ``BrokenState``."""
    snapshot: Snapshot | None = None
    bars: list[Bar] = []
    for key, value in records.items():
        if symbol_of(key) != symbol:
            raise ValueError(f"the record {key!r} is not one of {symbol}")
        if key == performance_key(symbol):
            continue
        try:
            if key == symbol:
                snapshot = _snapshot_decoder.decode(value)
                _check_version(key, snapshot.version)
            else:
                closed = _bar_decoder.decode(value)
                _check_version(key, closed.version)
                bars.append(closed.bar)
        except msgspec.DecodeError as error:
            raise BrokenState(f"the stored state {key!r} cannot be read: {error}") from None
    return snapshot, sorted(bars, key=_session)


def newer_than(number: int, bars: Iterable[Bar]) -> list[Bar]:
    """Return the bars after the one with this number."""
    return [bar for bar in bars if bar.session > number]


def _bar_key(symbol: str, bar: Bar) -> str:
    return f"{symbol}{_SEPARATOR}{bar_iso(bar.session)}"


def _session(bar: Bar) -> int:
    return bar.session


def _check_version(key: str, version: int) -> None:
    if version != VERSION:
        raise BrokenState(f"the stored state {key!r} has version {version}, this program reads {VERSION}")
