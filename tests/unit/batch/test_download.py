"""What is asked for, what becomes of it, and when it is enough."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stockpipeline.batch.download import (
    RateLimited,
    SourceFailed,
    Terms,
    UnknownSymbol,
    download,
    fetch_symbol,
)
from stockpipeline.batch.downloads import Download, DownloadFolder, known_gone
from stockpipeline.batch.lake import BrokenPart
from stockpipeline.batch.outcomes import CoverageTooLow, Outcome, check_coverage, coverage
from stockpipeline.batch.quality import RawBars
from stockpipeline.batch.yahoo_chart import DailyChart
from stockpipeline.market.bars import Bar, BarSeries
from stockpipeline.market.corporate_actions import CorporateAction

SESSION = 1000


def bars(first: int, last: int, close: float = 10.0) -> BarSeries:
    return BarSeries.from_bars(
        Bar(day, close, close + 1, close - 1, close, 100.0) for day in range(first, last + 1)
    )


class FakeSource:
    """Has the bars of some symbols, and says what was asked; `refuse` may raise before it answers."""

    def __init__(self, name: str = "fake", refuse: Callable[[int], None] = lambda _: None) -> None:
        self.name = name
        self.series: dict[str, BarSeries] = {}
        self.actions: dict[str, list[CorporateAction]] = {}
        self.asked: list[tuple[str, int, int]] = []
        self._refuse = refuse

    def fetch(self, symbol: str, since: int, until: int) -> DailyChart:
        self.asked.append((symbol, since, until))
        self._refuse(len(self.asked))
        if symbol not in self.series:
            raise UnknownSymbol(f"no {symbol}")
        series = self.series[symbol]
        rows = (series.sessions >= since) & (series.sessions <= until)
        columns = (series.open, series.high, series.low, series.close, series.volume)
        actions = [one for one in self.actions.get(symbol, ()) if since <= one.session <= until]
        return DailyChart(RawBars(series.sessions[rows], tuple(column[rows] for column in columns)), actions)


def fetch(
    source: FakeSource | list[FakeSource], known: BarSeries | None = None, rests: list[float] | None = None
) -> Download:
    sources = source if isinstance(source, list) else [source]
    terms = Terms(history_days=500, rest=([] if rests is None else rests).append)
    return fetch_symbol("ACME", known, sources, SESSION, terms)


def test_a_new_symbol_is_asked_for_its_whole_past() -> None:
    source = FakeSource()
    source.series["ACME"] = bars(1, SESSION + 5)
    found = fetch(source)
    assert source.asked == [("ACME", 500, SESSION)]
    assert (found.outcome, found.whole) == (Outcome.OK, True)
    assert found.raw.sessions.tolist() == list(range(500, SESSION + 1)), "nothing after the session"


def test_a_known_symbol_is_asked_for_what_is_new() -> None:
    source = FakeSource()
    source.series["ACME"] = bars(1, SESSION)
    source.actions["ACME"] = [CorporateAction(SESSION, dividend=0.5), CorporateAction(700, split=2.0)]
    found = fetch(source, bars(500, 995))
    assert source.asked == [("ACME", 985, SESSION)]
    assert (found.outcome, found.whole) == (Outcome.OK, False)
    assert found.actions == (CorporateAction(SESSION, dividend=0.5),)


@pytest.mark.parametrize(
    ("actions", "close"),
    [([CorporateAction(999, split=2.0)], 10.0), ([], 10.01)],
    ids=["split", "known days come back otherwise"],
)
def test_a_past_that_changed_is_asked_for_anew(actions: list[CorporateAction], close: float) -> None:
    source = FakeSource()
    source.series["ACME"], source.actions["ACME"] = bars(1, SESSION, close), actions
    found = fetch(source, bars(500, 995))
    assert [since for _, since, _ in source.asked] == [985, 500]
    assert found.whole


def test_what_has_no_bar_of_the_session_is_no_success() -> None:
    source = FakeSource()
    source.series["ACME"] = bars(1, SESSION - 1)
    found = fetch(source)
    assert found.outcome is Outcome.NO_DATA
    assert found.detail == "fake: the newest bar is of 1972-09-26"
    source.series["ACME"] = BarSeries.empty()
    assert fetch(source).detail == "fake: no bars"


def test_refusals_are_tried_again_each_time_later() -> None:
    def refuse(count: int) -> None:
        if count < 3:
            raise RateLimited("HTTP 429")

    rests: list[float] = []
    source = FakeSource(refuse=refuse)
    source.series["ACME"] = bars(1, SESSION)
    assert fetch(source, rests=rests).outcome is Outcome.OK
    assert rests == [5.0, 10.0]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(RateLimited("HTTP 429"), Outcome.RATE_LIMITED), (SourceFailed("HTTP 500"), Outcome.ERROR)],
)
def test_a_source_that_never_answers_is_given_up(error: Exception, outcome: Outcome) -> None:
    def refuse(_: int) -> None:
        raise error

    rests: list[float] = []
    source = FakeSource(refuse=refuse)
    found = fetch(source, rests=rests)
    assert (found.outcome, found.detail) == (outcome, f"fake: {error}")
    assert len(source.asked) == 4
    assert rests == [5.0, 10.0, 20.0]


def test_the_next_source_is_asked_and_the_answer_that_knows_most_counts() -> None:
    first, second = FakeSource("first"), FakeSource("second")
    second.series["ACME"] = bars(1, SESSION)
    assert fetch([first, second]).outcome is Outcome.OK
    assert fetch([first, FakeSource("third")]).outcome is Outcome.DELISTED
    second.series["ACME"] = bars(1, SESSION - 1)
    for order in ([first, second], [second, first]):
        assert fetch(order).detail.startswith("second: the newest bar is of")


def test_a_killed_download_goes_on_and_asks_again_only_for_what_may_pass(tmp_path: Path) -> None:
    symbols = [f"S{number:03d}" for number in range(120)]
    source = FakeSource()
    source.series = dict.fromkeys(symbols[:118], bars(990, SESSION))

    class _Kill(BaseException):
        pass

    def refuse(count: int) -> None:
        if count == 70:
            raise _Kill

    folder = DownloadFolder(tmp_path, SESSION)
    killed = FakeSource(refuse=refuse)
    killed.series = source.series
    terms = Terms(rest=lambda _: None)
    with pytest.raises(_Kill):
        download(folder, "b0", symbols, {}, [killed], SESSION, terms)
    outcomes = download(folder, "b0", symbols, {}, [source], SESSION, terms)
    assert [symbol for symbol, _, _ in source.asked] == symbols[50:]
    assert list(outcomes.values()).count(Outcome.OK) == 118
    assert outcomes.keys() == set(symbols)

    again = FakeSource()
    assert download(folder, "b0", symbols, {}, [again], SESSION, terms) == outcomes
    assert again.asked == []

    folder.write("b0", [Download("S000", Outcome.RATE_LIMITED, "fake: HTTP 429")])
    download(folder, "b0", symbols, {}, [source], SESSION, terms)
    assert [symbol for symbol, _, _ in source.asked[70:]] == ["S000"]
    assert folder.settled()["S000"] is Outcome.OK


def test_downloads_come_back_as_they_were(tmp_path: Path) -> None:
    folder = DownloadFolder(tmp_path, SESSION)
    raw = RawBars(np.array([5, 6], dtype=np.int32), tuple(np.array([1.5, np.nan]) for _ in range(5)))
    one = Download("A", Outcome.OK, "", True, raw, (CorporateAction(5, 2.0, 0.25),))
    folder.write("b0", [one, Download("B", Outcome.DELISTED, "yahoo: Not Found")])
    found = DownloadFolder(tmp_path, SESSION).read()
    assert found.keys() == {"A", "B"}
    assert found["A"].actions == one.actions
    assert (found["A"].whole, found["A"].outcome) == (True, Outcome.OK)
    np.testing.assert_array_equal(found["A"].raw.columns, raw.columns)
    assert found["B"].detail == "yahoo: Not Found"
    assert len(found["B"].raw.sessions) == 0
    assert DownloadFolder(tmp_path, SESSION + 1).read() == {}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = DownloadFolder(tmp_path, SESSION)
    folder.write("b0", [Download("A", Outcome.OK)]).write_bytes(b"PAR1")
    with pytest.raises(BrokenPart, match=r"b0-00000\.parquet cannot be read"):
        folder.read()


def test_coverage_is_of_active_symbols() -> None:
    outcomes = {"A": Outcome.OK, "B": Outcome.OK, "C": Outcome.DELISTED, "D": Outcome.RATE_LIMITED}
    assert coverage(outcomes) == 2 / 3
    assert check_coverage(outcomes, 0.66) == 2 / 3
    with pytest.raises(CoverageTooLow, match=r"66\.7% .* 98\.0% are needed; .* 1 rate-limited \(D\)"):
        check_coverage(outcomes, 0.98)


def test_nothing_is_never_enough() -> None:
    with pytest.raises(CoverageTooLow, match="Of 0 symbols: none"):
        check_coverage({}, 0.0)
    with pytest.raises(CoverageTooLow, match=r"7 delisted \(S0, S1, S2, S3, S4, …\)"):
        check_coverage({f"S{number}": Outcome.DELISTED for number in range(7)}, 0.5)


def test_what_nobody_knew_is_not_asked_for_again_until_some_days_later(tmp_path: Path) -> None:
    DownloadFolder(tmp_path, SESSION).write(
        "b0",
        [Download("GONE", Outcome.DELISTED), Download("BACK", Outcome.DELISTED), Download("OK", Outcome.OK)],
    )
    DownloadFolder(tmp_path, SESSION + 2).write("b0", [Download("BACK", Outcome.OK)])
    assert known_gone(tmp_path, SESSION, 7) == {}, "that is its own night"
    assert known_gone(tmp_path, SESSION + 2, 7) == {"GONE": SESSION, "BACK": SESSION}
    assert known_gone(tmp_path, SESSION + 7, 7) == {"GONE": SESSION}
    assert known_gone(tmp_path, SESSION + 8, 7) == {}


def test_after_some_refusals_in_a_row_nobody_is_asked_any_more(tmp_path: Path) -> None:
    def refuse(asked: int) -> None:
        if asked > 3:
            raise RateLimited("too often")

    source = FakeSource(refuse=refuse)
    symbols = [f"S{number}" for number in range(9)]
    source.series = {symbol: bars(SESSION - 3, SESSION) for symbol in symbols}
    terms = Terms(attempts=1, give_up_after=2)
    folder = DownloadFolder(tmp_path, SESSION)
    outcomes = download(folder, "b0", symbols, {}, [source], SESSION, terms)
    assert list(outcomes.values()) == [Outcome.OK] * 3 + [Outcome.RATE_LIMITED] * 6
    assert len(source.asked) == 5
    assert folder.read()["S8"].detail == "not asked: 2 before it were refused"
    # The next run goes on with those.
    source = FakeSource()
    source.series = {symbol: bars(SESSION - 3, SESSION) for symbol in symbols}
    assert set(download(folder, "b0", symbols, {}, [source], SESSION, terms).values()) == {Outcome.OK}
    assert [symbol for symbol, _, _ in source.asked] == symbols[3:]
