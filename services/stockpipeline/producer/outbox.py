"""What cannot be handed to Kafka's client now: the newest tick of each symbol. Pure.

The client's own queue keeps all ticks in order, for a minute of a busy day. When it is full, Kafka has been
away for longer: then only the newest price of each symbol is worth keeping, which needs no more room than
there are symbols. Every tick that another one takes the place of is counted.
"""

from collections import Counter
from collections.abc import Callable

from stockpipeline.market.ticks import Tick


class Outbox:
    """Hands ticks to ``send``, which says no (False) while its queue is full."""

    def __init__(self, send: Callable[[Tick], bool]) -> None:
        self._send = send
        self._waiting: dict[str, Tick] = {}
        self.superseded: Counter[str] = Counter()
        """Ticks whose place a newer one took, by source; whoever reads it may clear it."""

    def put(self, tick: Tick) -> None:
        """Send a tick, or keep it in place of an older one of its symbol."""
        waiting = self._waiting
        if not waiting and self._send(tick):
            return
        # Once one waits, all wait: the order of a symbol's ticks holds, and the oldest symbol goes first.
        older = waiting.get(tick.symbol)
        if older is not None:
            self.superseded[older.source] += 1
        waiting[tick.symbol] = tick

    def drain(self) -> None:
        """Send what waits, as far as there is room."""
        for symbol, tick in list(self._waiting.items()):
            if not self._send(tick):
                return
            del self._waiting[symbol]

    def __len__(self) -> int:
        """Ticks that wait."""
        return len(self._waiting)
