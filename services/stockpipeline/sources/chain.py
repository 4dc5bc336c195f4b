"""The fallback chain: for each symbol, which of the ordered sources serves it now. Pure.

- A source is usable for a symbol while it is not too long silent (in time of *open* exchange: a quiet night
  is no outage), its breaker is not open, and its last word about the symbol was no failure.
- While the serving source is usable, the others' ticks are dropped. When it is not, the first other source
  that speaks takes over: a switch only ever goes to a source that has something.
- A more preferred source takes the symbol back once it has been usable for a while without a break; the while
  doubles when it fails again soon.
- Whatever is sent of a symbol never goes back in event time, over all sources.
- Every tick that is offered is either returned to be sent, or counted with a reason.

Times: ``now_ms`` is the wall clock in epoch ms.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from stockpipeline.market.ticks import Tick
from stockpipeline.sources.breaker import BreakerState
from stockpipeline.sources.health import SourceHealth, freshness

MAX_SKEW_MS = 60_000
"""How far an event time may be ahead of the own clock. One from the future would make all that follow
late."""
MAX_LAG_MS = 60_000
"""How far a source may be behind what was sent and still count as heard of. Some tell whole seconds only."""
RETURN_MS = 30_000
LONGEST_RETURN_MS = 600_000


class Drop(StrEnum):
    """Why a tick is not sent."""

    STANDBY = "standby"
    LATE = "late"
    FUTURE = "future"


class SourceTerms(NamedTuple):
    """A source of the chain."""

    name: str
    stale_after_ms: int


class SymbolState(NamedTuple):
    """How a symbol is served."""

    source: str
    stale: bool
    silent_ms: int
    """Time of open exchange since the serving source was heard of it."""


class _View:
    """One symbol as one source knows it; ``heard`` is in trading ms, the other times in wall ms."""

    __slots__ = ("failed", "heard", "usable_since")

    def __init__(self, heard: int, now_ms: int) -> None:
        self.heard = heard
        self.failed = False
        self.usable_since = now_ms


class _Symbol:
    __slots__ = ("hold_ms", "last_ts", "serving", "since", "views")

    def __init__(self, sources: int, heard: int, now_ms: int) -> None:
        self.views = [_View(heard, now_ms) for _ in range(sources)]
        self.serving = 0
        # It did not come back only now: its first failure is not the end of a return.
        self.since = now_ms - LONGEST_RETURN_MS
        self.hold_ms = RETURN_MS
        self.last_ts = 0


class Chain:
    """Decides for a set of symbols; ``trading_ms`` is the calendar's clock, which stands while it is
    closed."""

    def __init__(
        self,
        symbols: Iterable[str],
        sources: Sequence[SourceTerms],
        trading_ms: Callable[[int], int],
        now_ms: int,
    ) -> None:
        self._sources = tuple(sources)
        self._index = {source.name: index for index, source in enumerate(sources)}
        self._health = [SourceHealth() for _ in sources]
        self._trading_ms = trading_ms
        heard = trading_ms(now_ms)
        self._symbols = {symbol: _Symbol(len(self._sources), heard, now_ms) for symbol in symbols}
        self.dropped: Counter[tuple[str, Drop]] = Counter()
        """Ticks that were offered and not sent, by source and reason; whoever reads it may clear it."""
        self.switches: Counter[str] = Counter()
        """Symbols that went over to a source; whoever reads it may clear it."""

    @property
    def names(self) -> tuple[str, ...]:
        """The sources' names, in their order."""
        return tuple(source.name for source in self._sources)

    def offer(self, tick: Tick, now_ms: int) -> bool:
        """Take a source's tick; return whether to send it."""
        index = self._index[tick.source]
        symbol = self._symbols.get(tick.symbol)
        if symbol is None:
            return self._drop(tick, Drop.STANDBY)
        if tick.ts > now_ms + MAX_SKEW_MS:
            return self._drop(tick, Drop.FUTURE)
        if tick.ts >= symbol.last_ts - MAX_LAG_MS:
            # One that only brings what is long past has nothing to say of the present.
            self._hear(symbol, index, now_ms)
            self._health[index].spoke()
        if index != symbol.serving and not self._may_take(symbol, index, now_ms):
            return self._drop(tick, Drop.STANDBY)
        if tick.ts < symbol.last_ts:
            return self._drop(tick, Drop.LATE)
        if index != symbol.serving:
            self._switch(symbol, index, now_ms)
        symbol.last_ts = tick.ts
        return True

    def confirmed(self, source: str, symbol: str, now_ms: int) -> None:
        """Note that a source was asked and there was no new trade."""
        known = self._symbols.get(symbol)
        if known is not None:
            self._hear(known, self._index[source], now_ms)

    def failed(self, source: str, symbol: str) -> None:
        """Note that a source has nothing usable of a symbol."""
        known = self._symbols.get(symbol)
        if known is not None:
            known.views[self._index[source]].failed = True

    def answered(self, source: str, seconds: float | None, now_ms: int) -> None:
        """Note a source's answer, or (None) that the source failed as a whole."""
        self._health[self._index[source]].answered(seconds, now_ms / 1000)

    def may_ask(self, source: str, now_ms: int) -> bool:
        """Return whether the source's breaker lets a request through."""
        return self._health[self._index[source]].breaker.allows(now_ms / 1000)

    def breaker_state(self, source: str, now_ms: int) -> BreakerState:
        """Return the state of a source's breaker."""
        return self._health[self._index[source]].breaker.state(now_ms / 1000)

    def score(self, source: str, symbol: str, now_ms: int) -> float:
        """Return how well a source does for a symbol, 0 (of no use) to 1."""
        index = self._index[source]
        return self._score(self._symbols[symbol], index, self._trading_ms(now_ms), now_ms)

    def review(self, now_ms: int) -> dict[str, set[str]]:
        """Give symbols back to preferred sources that are good again; return what each is needed for.

        A source is needed for what it serves, for what a less preferred one serves, and for all symbols whose
        serving source is of no use.
        """
        trading = self._trading_ms(now_ms)
        needed: dict[str, set[str]] = {source.name: set() for source in self._sources}
        for name, symbol in self._symbols.items():
            usable = self._score(symbol, symbol.serving, trading, now_ms) > 0.0
            if usable and symbol.serving:
                self._give_back(symbol, trading, now_ms)
            last = symbol.serving + 1 if usable else len(self._sources)
            for source in self._sources[:last]:
                needed[source.name].add(name)
        return needed

    def states(self, now_ms: int) -> dict[str, SymbolState]:
        """Return how each symbol is served."""
        trading = self._trading_ms(now_ms)
        return {
            name: SymbolState(
                self._sources[symbol.serving].name,
                not any(self._score(symbol, i, trading, now_ms) > 0.0 for i in range(len(self._sources))),
                trading - symbol.views[symbol.serving].heard,
            )
            for name, symbol in self._symbols.items()
        }

    def serve(self, symbols: Collection[str], now_ms: int) -> None:
        """Decide for these symbols from now on, and for no others."""
        heard = self._trading_ms(now_ms)
        for name in self._symbols.keys() - set(symbols):
            del self._symbols[name]
        for name in set(symbols) - self._symbols.keys():
            self._symbols[name] = _Symbol(len(self._sources), heard, now_ms)

    def resume(self, last_ts: Mapping[str, int]) -> None:
        """Begin after these event times: what was sent of each symbol before."""
        for name, ts in last_ts.items():
            if name in self._symbols:
                self._symbols[name].last_ts = max(self._symbols[name].last_ts, ts)

    def _hear(self, symbol: _Symbol, index: int, now_ms: int) -> None:
        trading = self._trading_ms(now_ms)
        view = symbol.views[index]
        if view.failed or trading - view.heard >= self._sources[index].stale_after_ms:
            view.usable_since = now_ms
        view.heard = trading
        view.failed = False

    def _score(self, symbol: _Symbol, index: int, trading: int, now_ms: int) -> float:
        view = symbol.views[index]
        if view.failed:
            return 0.0
        fresh = freshness(trading - view.heard, self._sources[index].stale_after_ms)
        return fresh * self._health[index].score(now_ms / 1000) if fresh else 0.0

    def _may_take(self, symbol: _Symbol, index: int, now_ms: int) -> bool:
        """Whether a source that just spoke of a symbol may take it from the one that serves it."""
        trading = self._trading_ms(now_ms)
        if self._score(symbol, symbol.serving, trading, now_ms) <= 0.0:
            return True
        return index < symbol.serving and self._is_back(symbol, index, trading, now_ms)

    def _is_back(self, symbol: _Symbol, index: int, trading: int, now_ms: int) -> bool:
        usable = self._score(symbol, index, trading, now_ms) > 0.0
        return usable and now_ms - max(symbol.views[index].usable_since, symbol.since) >= symbol.hold_ms

    def _give_back(self, symbol: _Symbol, trading: int, now_ms: int) -> None:
        for index in range(symbol.serving):
            if self._is_back(symbol, index, trading, now_ms):
                self._switch(symbol, index, now_ms)
                return

    def _switch(self, symbol: _Symbol, index: int, now_ms: int) -> None:
        if index > symbol.serving:
            # Away from a preferred source: soon after it came back, it has to prove itself for longer.
            soon = now_ms - symbol.since < LONGEST_RETURN_MS
            symbol.hold_ms = min(LONGEST_RETURN_MS, symbol.hold_ms * 2) if soon else RETURN_MS
        symbol.serving = index
        symbol.since = now_ms
        self.switches[self._sources[index].name] += 1

    def _drop(self, tick: Tick, why: Drop) -> bool:
        self.dropped[tick.source, why] += 1
        return False
