"""The open positions of one symbol, and which of its trades matter to them.

Nearly all trades change nothing: no position sees a new best or worst price, and no return is due. So the
book keeps a *quiet* range of prices and a time; a trade inside of the range and before that time need not be
shown to it. For most ticks that is all there is to do, however many positions are open.
"""

from collections.abc import Iterable, Sequence
from math import inf

import msgspec

from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.signals.performance.benchmark import Benchmark
from stockpipeline.signals.performance.horizon import Horizon
from stockpipeline.signals.performance.position import Position, Quote
from stockpipeline.signals.signal import Signal
from stockpipeline.signals.state import BrokenState

VERSION = 1
LIVE_INTERVAL_MS = 300_000
"""Event time between two live updates of a position; entries and exits are told at once."""
_NEVER_MS = 1 << 62


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    version: int
    benchmark: str | None
    positions: list[Position]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Stored)


class Book:
    """The open positions of one symbol, oldest first."""

    __slots__ = (
        "_benchmark", "_calendar", "_highs", "_horizons", "_lows", "_told", "_untils", "changed", "closed",
        "news", "positions", "quiet_high", "quiet_low", "quiet_until", "reached",
    )  # fmt: skip

    def __init__(
        self, calendar: SessionCalendar, horizons: Sequence[Horizon], benchmark: Benchmark | None
    ) -> None:
        self._calendar = calendar
        self._horizons = horizons
        self._benchmark = benchmark
        self._told: dict[str, int] = {}
        """Signal → event time of its newest update."""
        self.positions: list[Position] = []
        self.news: dict[str, Position] = {}
        """By signal, the open positions with an entry or an exit since this was last emptied."""
        self.closed: list[Position] = []
        """Positions of which all is known; whoever takes them empties this."""
        self.reached: list[tuple[Position, int]] = []
        """Exits since this was last emptied: positions, and which of their horizons."""
        self.changed = False
        """Whether what is to be stored differs from what was."""
        self._find_quiet()

    def open(self, signal: Signal) -> None:
        """Follow a signal from its symbol's next trade on."""
        self.positions.append(
            Position(
                signal_id=signal.id,
                rule=signal.rule,
                side=signal.side,
                confidence=signal.confidence,
                bar=signal.bar,
                signal=Quote(signal.ts, signal.price),
            )
        )
        self.changed = True
        self._find_quiet()

    def on_trade(self, ts: int, price: float) -> None:
        """Take a trade that is not older than the one before it, in a regular session."""
        if ts < self.quiet_until and self.quiet_low <= price <= self.quiet_high:
            return
        quote = Quote(ts, price)
        lows, highs, untils = self._lows, self._highs, self._untils
        entered_or_left = False
        for index, position in enumerate(self.positions):
            if ts < untils[index] and lows[index] <= price <= highs[index]:
                continue
            if position.entry is None:
                due = {horizon.name: horizon.due(self._calendar, ts) for horizon in self._horizons}
                position.enter(quote, due)
                reached = []
            else:
                reached = position.follow(quote)
            if reached or position.entry is quote:
                entered_or_left = True
                self.reached += [(position, at) for at in reached]
                self.news[position.signal_id] = position
            lows[index], highs[index], untils[index] = _quiet(position)
        self.changed = True
        if entered_or_left:
            self.compare()
        else:
            self._join_quiet()

    def compare(self) -> None:
        """Look up what is needed of the benchmark and known by now, and close what is complete."""
        still_open = []
        for position in self.positions:
            times = position.benchmark_times if self._benchmark is not None else []
            for ts in times:
                assert self._benchmark is not None
                price = self._benchmark.price_at(ts)
                if price is not None:
                    position.benchmark[ts] = price
                    self.changed = True
                    if position.left:
                        # The excess at a horizon is known now.
                        self.news[position.signal_id] = position
            if position.traded and all(ts in position.benchmark for ts in times):
                self.closed.append(position)
                self.news.pop(position.signal_id, None)
                self._told.pop(position.signal_id, None)
                self.changed = True
            else:
                still_open.append(position)
        self.positions = still_open
        self._find_quiet()

    @property
    def waiting(self) -> bool:
        """Whether a price of the benchmark is needed."""
        return self._benchmark is not None and any(position.benchmark_times for position in self.positions)

    @property
    def oldest_wait(self) -> int | None:
        """The earliest event time at which the benchmark's price is needed; None when none is."""
        return min((ts for position in self.positions for ts in position.benchmark_times), default=None)

    def live(self, now_ms: int, most: int) -> list[Position]:
        """Return the entered positions whose last update is long enough ago, and count them as told.

        There may be more of them than ``most``, which then stay due.
        """
        due = [
            position
            for position in self.positions
            if position.entry is not None
            and now_ms - self._told.get(position.signal_id, position.entry.ts) >= LIVE_INTERVAL_MS
        ][:most]
        self.told(due, now_ms)
        return due

    def told(self, positions: Iterable[Position], now_ms: int) -> None:
        """Note that an update of these open positions was given out."""
        for position in positions:
            self._told[position.signal_id] = now_ms

    def rescale(self, factor: float, since_ms: int) -> None:
        """Multiply all prices before this event time; see ``Position.rescale``."""
        for position in self.positions:
            position.rescale(factor, since_ms)
        self.changed = True
        self._find_quiet()

    def encode(self) -> bytes:
        """Return the positions for storing."""
        symbol = None if self._benchmark is None else self._benchmark.symbol
        return _encoder.encode(_Stored(VERSION, symbol, self.positions))

    def restore(self, data: bytes) -> None:
        """Take over stored positions, right after construction.

        They keep the horizons they were entered with. Raises ``BrokenState`` for what cannot be read.
        """
        try:
            stored = _decoder.decode(data)
        except msgspec.DecodeError as error:
            raise BrokenState(f"stored positions cannot be read: {error}") from None
        if stored.version != VERSION:
            raise BrokenState(f"stored positions have version {stored.version}, this program reads {VERSION}")
        self.positions = stored.positions
        if self._benchmark is None or stored.benchmark != self._benchmark.symbol:
            for position in self.positions:
                position.benchmark = {}
        self._find_quiet()

    def _find_quiet(self) -> None:
        """Find which trades cannot matter to any position, after positions came or went."""
        ranges = [_quiet(position) for position in self.positions]
        self._lows = [low for low, _, _ in ranges]
        self._highs = [high for _, high, _ in ranges]
        self._untils = [until for _, _, until in ranges]
        self._join_quiet()

    def _join_quiet(self) -> None:
        self.quiet_low = max(self._lows, default=-inf)
        self.quiet_high = min(self._highs, default=inf)
        self.quiet_until = min(self._untils, default=_NEVER_MS)


def _quiet(position: Position) -> tuple[float, float, int]:
    """Return the lowest and the highest price that say nothing new to a position, and until when."""
    if position.excursion is None:
        return -inf, inf, 0
    due = position.next_due
    if due is None:
        return -inf, inf, _NEVER_MS
    best, worst = position.excursion.best.price, position.excursion.worst.price
    return (worst, best, due) if worst <= best else (best, worst, due)
