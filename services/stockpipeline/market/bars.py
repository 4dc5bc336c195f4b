"""Bars: one ``Bar``, and ``BarSeries``, the columnar history of one symbol.

Both name a bar by its number (see ``market.periods``): for daily bars, that is the session.

The binary form (used as a Redis value) is versioned and little-endian: the magic ``SPB1``, a uint32 count of
bars, then the columns one after the other: sessions (int32), open, high, low, close, volume (float64 each).
250 bars take 11 kB; decoding copies nothing.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from hashlib import blake2b
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from stockpipeline.api import BAR_FIELDS
from stockpipeline.market.sessions import bar_iso, session_from_date

_T = TypeVar("_T", bound=np.generic)
_MAGIC = b"SPB1"
_HEADER = struct.Struct("<4sI")
_SESSION_DTYPE = np.dtype(np.int32).newbyteorder("<")
_VALUE_DTYPE = np.dtype(np.float64).newbyteorder("<")
_BYTES_PER_BAR = _SESSION_DTYPE.itemsize + len(BAR_FIELDS) * _VALUE_DTYPE.itemsize


class InvalidBars(ValueError):
    """Bars that cannot be history: broken bytes, unordered sessions, impossible prices."""


class Bar(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One closed bar; ``session`` is its number: the session, or the minute that an intraday bar opens in."""

    session: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class BarSeries:
    """The closed bars of one symbol, oldest first; immutable.

    Columns are read-only numpy arrays of equal length: ``sessions`` int32 (strictly increasing), the others
    float64, each bar with 0 < low ≤ open, close ≤ high < ∞ and volume ≥ 0. Construction raises
    ``InvalidBars`` with the first offending session otherwise.
    """

    __slots__ = ("_digest", "close", "high", "low", "open", "sessions", "volume")
    _digest: str

    def __init__(
        self,
        sessions: NDArray[np.int32],
        open: NDArray[np.float64],  # noqa: A002 - the field's name everywhere
        high: NDArray[np.float64],
        low: NDArray[np.float64],
        close: NDArray[np.float64],
        volume: NDArray[np.float64],
    ) -> None:
        self.sessions = _column(sessions, _SESSION_DTYPE)
        self.open = _column(open, _VALUE_DTYPE)
        self.high = _column(high, _VALUE_DTYPE)
        self.low = _column(low, _VALUE_DTYPE)
        self.close = _column(close, _VALUE_DTYPE)
        self.volume = _column(volume, _VALUE_DTYPE)
        self._validate()

    @classmethod
    def empty(cls) -> "BarSeries":
        """Return a series without bars."""
        return cls.from_bars(())

    @classmethod
    def from_bars(cls, bars: Iterable[Bar]) -> "BarSeries":
        """Return the series of these bars, oldest first."""
        rows = list(bars)
        values = np.array([[getattr(bar, field) for bar in rows] for field in BAR_FIELDS], dtype=_VALUE_DTYPE)
        return cls(np.array([bar.session for bar in rows], dtype=_SESSION_DTYPE), *values)

    @classmethod
    def many(
        cls,
        sessions: NDArray[np.int32],
        columns: Sequence[NDArray[np.float64]],
        named: Sequence[tuple[str, slice]],
    ) -> "list[BarSeries]":
        """Return a series for each name and its rows, which follow each other in columns in the order of
        ``BAR_FIELDS``.

        All are looked at at once, which takes a third of the time of one after the other. Raises
        ``InvalidBars``; the message begins with the name.
        """
        whole = object.__new__(cls)
        whole.sessions = _column(sessions, _SESSION_DTYPE)
        for field, column in zip(BAR_FIELDS, columns, strict=True):
            setattr(whole, field, _column(column, _VALUE_DTYPE))
        found = [whole[rows] for _, rows in named]
        ordered = np.diff(whole.sessions) > 0
        ordered[[rows.start - 1 for _, rows in named[1:]]] = True
        if not (ordered.all() and whole._possible().all()):
            for (name, _), series in zip(named, found, strict=True):
                try:
                    series._validate()
                except InvalidBars as error:
                    raise InvalidBars(f"{name}: {error}") from None
        return found

    @classmethod
    def decode(cls, data: bytes) -> "BarSeries":
        """Return the series in ``data`` (see the module); raise ``InvalidBars`` for anything else."""
        if len(data) < _HEADER.size or data[:4] != _MAGIC:
            raise InvalidBars(f"not a bar series: it begins with {data[:8]!r}, expected {_MAGIC!r}")
        _, count = _HEADER.unpack_from(data)
        if len(data) != _HEADER.size + count * _BYTES_PER_BAR:
            raise InvalidBars(f"a series of {count} bars cannot take {len(data)} bytes")
        sessions = np.frombuffer(data, _SESSION_DTYPE, count, _HEADER.size)
        offset = _HEADER.size + sessions.nbytes
        values = np.frombuffer(data, _VALUE_DTYPE, count * len(BAR_FIELDS), offset).reshape(
            len(BAR_FIELDS), count
        )
        return cls(sessions, *values)

    def encode(self) -> bytes:
        """Return the binary form (see the module)."""
        columns = [self.sessions, *(getattr(self, field) for field in BAR_FIELDS)]
        return _HEADER.pack(_MAGIC, len(self)) + b"".join(column.tobytes() for column in columns)

    def digest(self) -> str:
        """Return 32 hex digits, BLAKE2b of the binary form: equal exactly when all bars are equal."""
        try:
            return self._digest
        except AttributeError:
            # A detector that starts asks for those of thousands twice.
            self._digest = blake2b(self.encode(), digest_size=16).hexdigest()
            return self._digest

    def before(self, day: date) -> "BarSeries":
        """Return the bars of sessions earlier than ``day``."""
        return self[: self._position(day)]

    def since(self, day: date) -> "BarSeries":
        """Return the bars of ``day`` and later."""
        return self[self._position(day) :]

    def until(self, day: date) -> "BarSeries":
        """Return the bars of ``day`` and earlier."""
        return self[: int(np.searchsorted(self.sessions, session_from_date(day), side="right"))]

    def last(self, count: int) -> "BarSeries":
        """Return the newest ``count`` bars, or all where there are fewer."""
        return self[max(0, len(self) - count) :]

    def joined(self, later: "BarSeries") -> "BarSeries":
        """Return these bars followed by later ones."""
        if not len(later):
            return self
        return BarSeries(
            np.concatenate((self.sessions, later.sessions)),
            *(np.concatenate((getattr(self, field), getattr(later, field))) for field in BAR_FIELDS),
        )

    def bar(self, index: int) -> Bar:
        """Return one bar by position; negative counts from the newest."""
        return Bar(int(self.sessions[index]), *(float(getattr(self, field)[index]) for field in BAR_FIELDS))

    def __len__(self) -> int:
        return len(self.sessions)

    def __iter__(self) -> Iterator[Bar]:
        columns = (getattr(self, field).tolist() for field in BAR_FIELDS)
        for session, *values in zip(self.sessions.tolist(), *columns, strict=True):
            yield Bar(session, *values)

    def __getitem__(self, part: slice) -> "BarSeries":
        columns = (getattr(self, field)[part] for field in BAR_FIELDS)
        if part.step is not None:
            return BarSeries(self.sessions[part], *columns)
        # Bars in a row of a valid series are valid, and a detector that starts cuts thousands.
        found = object.__new__(BarSeries)
        found.sessions = self.sessions[part]
        found.open, found.high, found.low, found.close, found.volume = columns
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BarSeries) and self.encode() == other.encode()

    def __hash__(self) -> int:
        return hash(self.encode())

    def __repr__(self) -> str:
        if not len(self):
            return "BarSeries(empty)"
        first, last = bar_iso(int(self.sessions[0])), bar_iso(int(self.sessions[-1]))
        return f"BarSeries({len(self)} bars, {first}…{last})"

    def _position(self, day: date) -> int:
        return int(np.searchsorted(self.sessions, session_from_date(day)))

    def _validate(self) -> None:
        lengths = {field: len(getattr(self, field)) for field in BAR_FIELDS}
        if set(lengths.values()) != {len(self)}:
            raise InvalidBars(f"{len(self)} sessions, but columns of {lengths}")
        unordered = np.flatnonzero(np.diff(self.sessions) <= 0)
        if unordered.size:
            raise InvalidBars(f"{self._name(int(unordered[0]) + 1)} does not come after the bar before it")
        impossible = np.flatnonzero(~self._possible())
        if impossible.size:
            index = int(impossible[0])
            raise InvalidBars(
                f"{self._name(index)} must have 0 < low ≤ open, close ≤ high and volume ≥ 0, has "
                + ", ".join(f"{field} {float(getattr(self, field)[index])}" for field in BAR_FIELDS)
            )

    def _possible(self) -> NDArray[np.bool_]:
        """Return for each bar whether it can be."""
        # Positive conditions: every comparison with NaN is false.
        found: NDArray[np.bool_] = (
            (self.low > 0)
            & (self.low <= np.minimum(self.open, self.close))
            & (np.maximum(self.open, self.close) <= self.high)
            & (self.high < np.inf)
            & (self.volume >= 0)
            & (self.volume < np.inf)
        )
        return found

    def _name(self, index: int) -> str:
        return f"the bar of {bar_iso(int(self.sessions[index]))}"


def _column(values: NDArray[_T], dtype: np.dtype[_T]) -> NDArray[_T]:
    """Return a read-only contiguous view (TA-Lib reads contiguous float64 only)."""
    column = np.ascontiguousarray(values, dtype=dtype).view()
    column.flags.writeable = False
    return column
