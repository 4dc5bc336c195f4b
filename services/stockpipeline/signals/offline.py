"""The detector's core without servers, over any ticks: what ``stockpipeline replay`` runs.

The same ``Detector`` as in a cluster, so signals of a replay are those that a live pipeline gives over the
same history and ticks.
"""

from collections.abc import Mapping

from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.corporate_actions import CorporateAction, adjusted
from stockpipeline.market.sessions import session_date
from stockpipeline.market.ticks import Tick
from stockpipeline.signals.detector import Detector, Outcome, TickResult

_OUTSIDE_SESSION = TickResult(Outcome.OUTSIDE_SESSION, ())


class OfflineDetector:
    """A detector that warms each symbol up at its first tick, from its bars before that tick's session.

    ``actions`` are the splits and dividends that the bars are not adjusted for, oldest first.
    """

    def __init__(
        self,
        detector: Detector,
        bars: Mapping[str, BarSeries],
        actions: Mapping[str, tuple[CorporateAction, ...]],
        calendar: SessionCalendar,
    ) -> None:
        self.core = detector
        self._waiting = dict(bars)
        self._actions = actions
        self._calendar = calendar
        self._later_actions: dict[str, list[tuple[int, CorporateAction]]] = {}
        """Symbol → its actions after its first tick, oldest first, with when each counts from (epoch ms)."""
        self.unused_bars: dict[str, int] = {}
        """Bars of each symbol that were no history: those of its first tick's session and later."""

    @property
    def without_ticks(self) -> tuple[str, ...]:
        """The symbols that had no tick in a session so far."""
        return tuple(self._waiting)

    def on_tick(self, tick: Tick) -> TickResult:
        """Take one tick; see ``Detector.on_tick``.

        Raises:
            ImpossibleAction: a split or dividend of the symbol cannot be.
        """
        if tick.symbol in self._waiting:
            session = self._calendar.session_of(tick.ts)
            if session is None:
                return _OUTSIDE_SESSION
            self._warm_up(tick.symbol, session)
        later = self._later_actions.get(tick.symbol)
        while later and tick.ts >= later[0][0]:
            self.core.apply(tick.symbol, later.pop(0)[1])
        return self.core.on_tick(tick)

    def _warm_up(self, symbol: str, session: int) -> None:
        series = self._waiting.pop(symbol)
        history = series.before(session_date(session)) if self.core.daily else BarSeries.empty()
        self.unused_bars[symbol] = len(series) - len(history)
        actions = self._actions.get(symbol, ())
        later = [action for action in actions if action.session > session]
        self._later_actions[symbol] = [(self._counts_from(action), action) for action in later]
        self.core.warm_up(symbol, adjusted(history, actions[: len(actions) - len(later)]))

    def _counts_from(self, action: CorporateAction) -> int:
        opens_ms, _ = self._calendar.open_close_ms(self._calendar.next_session(action.session - 1))
        return opens_ms
