"""A session's download from the stand-in Yahoo, by the real client, into the lake."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stockpipeline.batch.download import Terms, download
from stockpipeline.batch.downloads import DownloadFolder
from stockpipeline.batch.lake import BARS, Lake, part_of, read_part, series_of
from stockpipeline.batch.merge import merge
from stockpipeline.batch.outcomes import CoverageTooLow, Outcome, check_coverage
from stockpipeline.batch.yahoo_source import YahooDaily
from stockpipeline.market.bars import BarSeries
from stockpipeline.sources.yahoo.clients import Charts
from tests.stand_ins.yahoo import Past, YahooServer

TODAY = int(time.time()) // 86_400
SESSION = TODAY - 30
"""The batch runs for a past session: what came after it must not show."""
TRADING = np.arange(TODAY - 400, TODAY + 1, dtype=np.int32)


@pytest.fixture
def yahoo() -> Iterator[YahooServer]:
    with YahooServer() as server:
        for symbol in ("AAPL", "BRK-B", "MSFT"):
            days = {day: (10.0, 11.0, 9.0, 10.0 + day % 3 / 10, 1000.0) for day in range(TODAY - 90, TODAY)}
            server.past[symbol] = Past(days)
        yield server


def run(
    yahoo: YahooServer, folder: Path, session: int, symbols: tuple[str, ...] = ("AAPL", "BRK.B", "MSFT")
) -> dict[str, Outcome]:
    """Download a session and merge it into the lake."""
    source = YahooDaily(Charts(yahoo.chart_url, folder / "cookies"), requests_per_second=1000.0)
    downloads = DownloadFolder(folder, session)
    terms = Terms(history_days=365, attempts=2, rest=lambda _: None)
    outcomes = download(downloads, "b0", symbols, held(folder, symbols), [source], session, terms)
    merge(Lake(folder), downloads.read(), TRADING)
    return outcomes


def held(folder: Path, symbols: tuple[str, ...]) -> dict[str, BarSeries]:
    found = {}
    for part in {part_of(symbol) for symbol in symbols}:
        table = read_part(Lake(folder).bars(part), BARS)
        found.update((symbol, one) for symbol, _, one in series_of(table))
    return found


def test_sessions_come_one_after_the_other_and_a_split_brings_the_past_anew(
    yahoo: YahooServer, tmp_path: Path
) -> None:
    # Split after the session: Yahoo shows half of what was traded then.
    yahoo.past["AAPL"].splits[SESSION + 1] = 2.0
    assert set(run(yahoo, tmp_path, SESSION).values()) == {Outcome.OK}
    first = held(tmp_path, ("AAPL", "BRK.B", "MSFT"))
    assert first.keys() == {"AAPL", "BRK.B", "MSFT"}
    assert int(first["AAPL"].sessions[-1]) == SESSION
    assert first["AAPL"].open.tolist() == [20.0] * 61
    assert first["MSFT"].open.tolist() == [10.0] * 61

    asked = yahoo.asked["MSFT"], yahoo.asked["AAPL"]
    assert set(run(yahoo, tmp_path, SESSION + 1).values()) == {Outcome.OK}
    second = held(tmp_path, ("AAPL", "BRK.B", "MSFT"))
    assert second["AAPL"].open.tolist() == [20.0] * 61 + [10.0]
    assert second["MSFT"][:-1] == first["MSFT"]
    assert yahoo.asked["MSFT"] - asked[0] == 1
    assert yahoo.asked["AAPL"] - asked[1] == 2, "what is new, and then all for the split"
    assert run(yahoo, tmp_path, SESSION + 1) == dict.fromkeys(second, Outcome.OK)
    assert yahoo.asked["MSFT"] - asked[0] == 1, "settled: not asked again"


def test_every_failure_has_its_outcome_and_the_gate_stops(yahoo: YahooServer, tmp_path: Path) -> None:
    yahoo.past["MSFT"].days.pop(SESSION)
    del yahoo.past["BRK-B"]
    symbols = ("AAPL", "BRK.B", "MSFT", "NOPE1")
    yahoo.market.dead.add("NOPE1")
    outcomes = run(yahoo, tmp_path, SESSION, symbols)
    assert outcomes == {
        "AAPL": Outcome.OK,
        "BRK.B": Outcome.NO_DATA,
        "MSFT": Outcome.NO_DATA,
        "NOPE1": Outcome.DELISTED,
    }
    with pytest.raises(CoverageTooLow, match=r"33\.3% .* 2 no data \(BRK\.B, MSFT\); 1 delisted \(NOPE1\)"):
        check_coverage(outcomes, 0.98)


@pytest.mark.parametrize(("status", "outcome"), [(429, Outcome.RATE_LIMITED), (500, Outcome.ERROR)])
def test_refusals_are_no_success_and_pass(
    yahoo: YahooServer, tmp_path: Path, status: int, outcome: Outcome
) -> None:
    yahoo.faults.chart_status = status
    assert run(yahoo, tmp_path, SESSION, ("AAPL",)) == {"AAPL": outcome}
    yahoo.faults.chart_status = 0
    assert run(yahoo, tmp_path, SESSION, ("AAPL",)) == {"AAPL": Outcome.OK}
