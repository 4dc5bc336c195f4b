"""One signal as if somebody had acted on it: entered, followed, and judged at each horizon.

*Entry* is the first trade after the signal, at its price: the price that made the rule fire was gone when the
signal could be seen. At each horizon the *exit* is the first trade at or after the due time. A return is
signed by the side, so that a sell that falls is a gain:

    return      side x (exit / entry - 1)
    net return  return - cost x (1 + exit / entry)        cost: share of its price that each trade costs
    excess      return - side x (benchmark at exit / benchmark at entry - 1)
    MFE, MAE    the best and the worst return at any trade from entry to exit (0 at the entry)

MFE and MAE are Sweeney's maximum favorable and adverse excursion (J. Sweeney, Maximum Adverse Excursion,
Wiley 1997). What is stored is prices and times; returns are computed from them when they are asked for.
"""

from collections.abc import Mapping

import msgspec

BUY = "buy"


class Quote(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A trade: event time in epoch ms, and price."""

    ts: int
    price: float


class Excursion(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How far a position had gone for and against its side."""

    best: Quote
    worst: Quote


class Exit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was found at a horizon."""

    quote: Quote
    excursion: Excursion


class Position(msgspec.Struct, array_like=True):
    """The position of one signal; prices are in the terms of its symbol's newest trade (see ``rescale``).

    ``horizons``, ``due`` and ``exits`` have one item per horizon; they are empty before the entry.
    """

    signal_id: str
    rule: str
    side: str
    confidence: float
    bar: str
    """The bar of the signal, an ISO date."""
    signal: Quote
    """Time and price of the signal itself."""
    entry: Quote | None = None
    excursion: Excursion | None = None
    horizons: list[str] = []
    due: list[int] = []
    """When each return is to be taken, epoch ms."""
    exits: list[Exit | None] = []
    benchmark: dict[int, float] = {}
    """Event time → price of the benchmark then, for entry and exits, as far as it is known."""

    @property
    def sign(self) -> float:
        """1 for a buy, -1 for a sell."""
        return 1.0 if self.side == BUY else -1.0

    @property
    def left(self) -> bool:
        """Whether any exit is made."""
        return any(self.exits)

    @property
    def traded(self) -> bool:
        """Whether all exits are made."""
        return self.entry is not None and None not in self.exits

    def enter(self, quote: Quote, due: Mapping[str, int]) -> None:
        """Take the first trade after the signal; ``due``: horizon → when its return is to be taken."""
        self.entry = quote
        self.excursion = Excursion(quote, quote)
        self.horizons, self.due = list(due), list(due.values())
        self.exits = [None] * len(due)

    def follow(self, quote: Quote) -> list[int]:
        """Take a later trade; return the positions of the horizons at which it makes an exit."""
        assert self.excursion is not None
        best, worst = self.excursion.best, self.excursion.worst
        gain = self.sign * (quote.price - best.price) > 0.0
        loss = self.sign * (quote.price - worst.price) < 0.0
        if gain or loss:
            self.excursion = Excursion(quote if gain else best, quote if loss else worst)
        reached = [
            index for index, due in enumerate(self.due) if quote.ts >= due and self.exits[index] is None
        ]
        for index in reached:
            self.exits[index] = Exit(quote, self.excursion)
        return reached

    @property
    def next_due(self) -> int | None:
        """When the next exit is to be made; None when all are."""
        first: int | None = None
        for due, made in zip(self.due, self.exits, strict=True):
            if made is None and (first is None or due < first):
                first = due
        return first

    @property
    def benchmark_times(self) -> list[int]:
        """The event times at which the benchmark's price is needed and not known yet."""
        quotes = [self.entry, *(made.quote for made in self.exits if made is not None)]
        return [quote.ts for quote in quotes if quote is not None and quote.ts not in self.benchmark]

    def return_at(self, price: float) -> float:
        """Return the side-signed return at a price."""
        assert self.entry is not None
        return self.sign * (price / self.entry.price - 1.0)

    def net_return_at(self, price: float, cost: float) -> float:
        """Return the return at a price after costs; ``cost`` is the share of its price that a trade costs."""
        assert self.entry is not None
        return self.return_at(price) - cost * (1.0 + price / self.entry.price)

    def benchmark_return_at(self, ts: int) -> float | None:
        """Return the benchmark's return from entry to an exit at ``ts``, side-signed; None while unknown."""
        assert self.entry is not None
        begin, end = self.benchmark.get(self.entry.ts), self.benchmark.get(ts)
        return None if begin is None or end is None else self.sign * (end / begin - 1.0)

    def rescale(self, factor: float, since_ms: int) -> None:
        """Multiply all prices before this event time, from which on the symbol trades at other terms."""

        def scaled(quote: Quote) -> Quote:
            return quote if quote.ts >= since_ms else Quote(quote.ts, quote.price * factor)

        def scaled_both(excursion: Excursion) -> Excursion:
            return Excursion(scaled(excursion.best), scaled(excursion.worst))

        self.signal = scaled(self.signal)
        if self.entry is not None and self.excursion is not None:
            self.entry = scaled(self.entry)
            self.excursion = scaled_both(self.excursion)
            self.exits = [
                None if made is None else Exit(scaled(made.quote), scaled_both(made.excursion))
                for made in self.exits
            ]
