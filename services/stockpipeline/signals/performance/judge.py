"""The performance of all signals of a detector: one book per symbol, what is to be told, what to store."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from stockpipeline.api import Performance as PerformanceSpec
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.signals.performance.benchmark import Benchmark
from stockpipeline.signals.performance.book import Book
from stockpipeline.signals.performance.horizon import parse_horizon
from stockpipeline.signals.performance.position import Position, Quote
from stockpipeline.signals.performance.record import Performance, Terms, performance
from stockpipeline.signals.signal import Signal


class Measures(NamedTuple):
    """How signals are judged."""

    horizons: Sequence[str]
    """Such as ``30m``, ``1h``, ``5d`` (see ``horizon``)."""
    cost: float
    """Share of its price that each trade costs: commission and slippage, one way."""
    benchmark: str | None = None
    """The symbol that returns are compared with."""


def measures_of(spec: PerformanceSpec) -> Measures:
    """Return what a pipeline's ``performance`` asks for."""
    basis_points = spec.costs.commission_bps + spec.costs.slippage_bps
    return Measures(spec.horizons, basis_points / 10_000, spec.benchmark)


class Reached(NamedTuple):
    """A return that was taken at a horizon."""

    rule: str
    horizon: str
    net_return: float


class News(NamedTuple):
    """What is new of the signals of a symbol."""

    records: list[Performance]
    reached: list[Reached]


class Judge:
    """Follows the signals of every symbol that was begun."""

    def __init__(self, pipeline: str, measures: Measures, calendar: SessionCalendar) -> None:
        self._horizons = [parse_horizon(text) for text in measures.horizons]
        self._calendar = calendar
        self._terms = Terms(pipeline, measures.cost, calendar)
        self.benchmark = None if measures.benchmark is None else Benchmark(measures.benchmark)
        """The prices that returns are compared with, to be filled by whoever has them."""
        self._books: dict[str, Book] = {}

    def begin(self, symbol: str) -> None:
        """Begin, or begin anew, with a symbol that has no open positions."""
        self._books[symbol] = Book(self._calendar, self._horizons, self.benchmark)

    def forget(self, symbol: str) -> None:
        """Drop a symbol."""
        self._books.pop(symbol, None)

    def on_trade(self, symbol: str, ts: int, price: float) -> None:
        """Take a trade of a regular session that is not older than the one before it."""
        self._books[symbol].on_trade(ts, price)

    def open(self, signal: Signal) -> None:
        """Follow a signal from its symbol's next trade on."""
        self._books[signal.symbol].open(signal)

    def quiet(self, symbol: str) -> tuple[float, float, int]:
        """Return the range of prices, and the event time, within which no trade matters to a position."""
        book = self._books[symbol]
        return book.quiet_low, book.quiet_high, book.quiet_until

    def rescale(self, symbol: str, factor: float, since_ms: int) -> None:
        """Multiply the prices before this event time of a symbol's open positions."""
        self._books[symbol].rescale(factor, since_ms)

    def compare(self) -> list[str]:
        """Use what is known of the benchmark by now; return the symbols where that changed something."""
        symbols = [symbol for symbol, book in self._books.items() if book.waiting]
        for symbol in symbols:
            self._books[symbol].compare()
        return [symbol for symbol in symbols if self._books[symbol].changed]

    def begin_benchmark(self, since_ms: int) -> None:
        """Forget the benchmark's trades; from this event time on, all come."""
        if self.benchmark is not None:
            self.benchmark.begin(since_ms)

    @property
    def oldest_wait(self) -> int | None:
        """The earliest event time at which the benchmark's price is needed; None when none is."""
        waits = (book.oldest_wait for book in self._books.values() if book.waiting)
        return min((ts for ts in waits if ts is not None), default=None)

    def news(self, symbol: str, now: Quote | None, live: int) -> News:
        """Return what is new of a symbol's signals since the last call, as of its newest trade.

        Entries, exits and final figures are always told; and of the open positions whose last update is a
        while ago, as many as ``live``. Without a trade, in a bar that forms, only final figures are.
        """
        book = self._books[symbol]
        records = [performance(self._terms, symbol, position, now, closed=True) for position in book.closed]
        reached = [self._reached(position, index) for position, index in book.reached]
        book.closed, book.reached = [], []
        if now is not None:
            entered_or_left = book.news.values()
            book.told(entered_or_left, now.ts)
            overdue = book.live(now.ts, live)
            told = [*entered_or_left, *overdue]
            records += [performance(self._terms, symbol, position, now) for position in told]
            book.news = {}
        return News(records, reached)

    def results(self, symbol: str, now: Quote | None) -> list[Performance]:
        """Return all that is known of a symbol's signals that were closed since ``news``, or are open."""
        book = self._books[symbol]
        return [
            *(performance(self._terms, symbol, position, now, closed=True) for position in book.closed),
            *(performance(self._terms, symbol, position, now) for position in book.positions),
        ]

    def open_by_rule(self) -> Counter[str]:
        """Return how many positions of each rule are open."""
        return Counter(position.rule for book in self._books.values() for position in book.positions)

    def take_changes(self, symbol: str) -> bytes | None:
        """Return what is to be stored of a symbol; None when nothing changed since the last call."""
        book = self._books[symbol]
        if not book.changed:
            return None
        book.changed = False
        return book.encode()

    def restore(self, symbol: str, data: bytes) -> None:
        """Take over what was stored of a symbol that was just begun; raise ``BrokenState``."""
        self._books[symbol].restore(data)

    def _reached(self, position: Position, index: int) -> Reached:
        made = position.exits[index]
        assert made is not None
        net = position.net_return_at(made.quote.price, self._terms.cost)
        return Reached(position.rule, position.horizons[index], net)
