"""The sources of daily bars that a pipeline's configuration asks for."""

from pathlib import Path

import numpy as np

from stockpipeline.api import BAR_FIELDS, PipelineConfig
from stockpipeline.batch.download import DailySource, UnknownSymbol
from stockpipeline.batch.quality import RawBars
from stockpipeline.batch.yahoo_chart import DailyChart
from stockpipeline.batch.yahoo_source import YahooDaily
from stockpipeline.market.packaged import UnknownPackagedSymbol, packaged_bars
from stockpipeline.sources.yahoo.clients import Charts


class NoDailySource(ValueError):
    """None of the pipeline's sources has daily bars of the whole exchange."""


def daily_sources(config: PipelineConfig, cache: Path, share: int = 1) -> list[DailySource]:
    """Return the sources in their order; each may be asked a ``share``-th as often as the pipeline says.

    KIS is not among them: its limits are spent on live prices.

    Raises:
        NoDailySource: there is none.
    """
    sources: list[DailySource] = []
    for source in config.spec.sources:
        if (yahoo := source.yahoo) is not None:
            charts = Charts(yahoo.chart_url, cache)
            sources.append(YahooDaily(charts, yahoo.requests_per_second / share))
        elif source.replay is not None:
            sources.append(PackagedDaily())
    if not sources:
        raise NoDailySource(
            f"pipeline {config.namespace}/{config.name}: the batch downloads from sources of the "
            "kinds yahoo or replay, and there is none of them"
        )
    return sources


class PackagedDaily:
    """The real bars that ship with the product, for pipelines that replay them."""

    name = "packaged"

    def fetch(self, symbol: str, since: int, until: int) -> DailyChart:
        """Return the rows from one session to another (see ``DailySource``); there are no actions."""
        try:
            bars = packaged_bars(symbol)
        except UnknownPackagedSymbol as error:
            raise UnknownSymbol(str(error)) from None
        first, last = np.searchsorted(bars.sessions, (since, until + 1)).tolist()
        found = bars[first:last]
        return DailyChart(RawBars(found.sessions, tuple(getattr(found, name) for name in BAR_FIELDS)), [])
