"""Yahoo as a source of daily bars, by the client of the live source."""

import time

from stockpipeline.batch.download import RateLimited, SourceFailed, UnknownSymbol
from stockpipeline.batch.yahoo_chart import DailyChart, NoChart, NotListed, read_daily_chart
from stockpipeline.sources.yahoo.clients import Charts, TooOften, Unanswered
from stockpipeline.sources.yahoo.quotes import yahoo_symbol

_DAY_SECONDS = 86_400


class YahooDaily:
    """Asks for charts until now, whatever session is wanted.

    Yahoo's prices are in the terms of the newest share, and it tells of splits only in the range that is
    asked for: without those of later, prices of a past session could not be told as they were traded.
    """

    name = "yahoo"

    def __init__(self, charts: Charts, requests_per_second: float) -> None:
        self._charts = charts
        self._pause = 1.0 / requests_per_second
        self._next = 0.0

    def fetch(self, symbol: str, since: int, until: int) -> DailyChart:
        """Return the rows and actions from one session to another (see ``DailySource``)."""
        time.sleep(max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + self._pause
        name = yahoo_symbol(symbol)
        try:
            answer = self._charts.days(name, since * _DAY_SECONDS, int(time.time()) + _DAY_SECONDS)
            chart = read_daily_chart(answer, name)
        except TooOften as error:
            raise RateLimited(str(error)) from None
        except (Unanswered, NoChart) as error:
            raise SourceFailed(str(error)) from None
        except NotListed as error:
            raise UnknownSymbol(str(error)) from None
        wanted = (chart.raw.sessions >= since) & (chart.raw.sessions <= until)
        raw = chart.raw._replace(
            sessions=chart.raw.sessions[wanted], columns=tuple(column[wanted] for column in chart.raw.columns)
        )
        return DailyChart(raw, [action for action in chart.actions if since <= action.session <= until])
