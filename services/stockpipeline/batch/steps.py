"""The steps of a night, each by itself: what it needs it reads from the lake, what it finds it leaves there.

Any step can run again, or for a past session, and leaves the same bytes. `stockpipeline batch` has a command
for each of them; an orchestrator runs those, in this order:

    collect  download (in several batches, if so wanted)  gate  merge  compute  scan  load
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stockpipeline.api import Batch, Indicator, PipelineConfig, Rule
from stockpipeline.batch.daily_sources import daily_sources
from stockpipeline.batch.download import Terms, download
from stockpipeline.batch.downloads import PASSING, DownloadFolder, known_gone
from stockpipeline.batch.lake import BARS, PARTS, Lake, part_of, read_part, series_of
from stockpipeline.batch.load import Loaded, Results, deliver, load_store
from stockpipeline.batch.merge import merge
from stockpipeline.batch.night_folder import NightFolder
from stockpipeline.batch.outcomes import Outcome, check_coverage
from stockpipeline.batch.quality import problems_of, quality_table
from stockpipeline.batch.run_quality import run_quality
from stockpipeline.batch.scan import Scanner
from stockpipeline.batch.watchlist import SCAN_RULES, batch_indicators, choose, picks_of, watchlist_table
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import FIRST_DAY, LAST_DAY, SessionCalendar
from stockpipeline.market.listing import Listed, check_share
from stockpipeline.sources.nasdaq import ListingPlaces, fetch_listing
from stockpipeline.store.deliveries import Deliveries
from stockpipeline.store.deliveries import Outcome as Delivered
from stockpipeline.store.writer import Writer

GONE_DAYS = 7
"""How long a symbol that no source knew is not asked for again."""
WATCHLIST_LIMIT = 50
_YEAR_DAYS = 366


@dataclass(frozen=True)
class Night:
    """A session of a pipeline, and the folder in which its steps work."""

    config: PipelineConfig
    folder: Path
    session: int

    @property
    def lake(self) -> Lake:
        """The parts."""
        return Lake(self.folder)

    @property
    def files(self) -> NightFolder:
        """What the steps leave for each other."""
        return NightFolder(self.folder, self.session)

    @property
    def downloads(self) -> DownloadFolder:
        """What was downloaded for the session."""
        return DownloadFolder(self.folder, self.session)

    @property
    def terms(self) -> Batch:
        """The pipeline's wishes for its batch; the defaults where it has none."""
        return self.config.spec.batch or Batch()

    @property
    def indicators(self) -> tuple[Indicator, ...]:
        """What the night computes."""
        return batch_indicators(self.config.spec.indicators)


@dataclass(frozen=True)
class Collected:
    """The symbols of the night, and those of the night before that are not among them."""

    symbols: int
    gone: int


def collect(night: Night, places: ListingPlaces, *, accept_fewer: bool = False) -> Collected:
    """Write down which symbols the night is about, unless that was done.

    Raises:
        OSError, BadListing: the listing cannot be had.
        ShrunkenListing: it has far fewer symbols than that of the night before.
    """
    before = night.files.symbols_before()
    if not night.files.collected():
        night.files.write_symbols(_listed(night, places, len(before) if not accept_fewer else 0))
    symbols = {one.symbol for one in night.files.symbols()}
    return Collected(len(symbols), len({one.symbol for one in before} - symbols))


def _listed(night: Night, places: ListingPlaces, before: int) -> list[Listed]:
    universe = night.config.spec.universe
    found: list[Listed] = []
    if universe.collect is not None:
        found = fetch_listing(universe.collect, places)
    known = {one.symbol for one in found}
    found += [Listed(symbol, symbol) for symbol in universe.symbols if symbol not in known]
    if universe.collect is not None:
        check_share(len(found), before, universe.collect.minimum_share)
    return found


@dataclass(frozen=True)
class Downloaded:
    """What came of the symbols of a batch, by outcome; ``gone`` were not asked for."""

    symbols: int
    outcomes: dict[str, int]
    gone: int

    @property
    def settled(self) -> bool:
        """Whether asking again for this session would be of no use."""
        return not any(self.outcomes.get(str(outcome)) for outcome in PASSING)


def download_batch(night: Night, batch: int = 0, batches: int = 1, wait_seconds: float = 5.0) -> Downloaded:
    """Download what is not settled of a batch's symbols; a batch has whole parts of the lake.

    Raises:
        StepMissing: no symbols were collected.
        BrokenPart: a file of the lake cannot be read.
        NoDailySource: no source of the pipeline has daily bars.
    """
    gone = known_gone(night.folder, night.session, GONE_DAYS)
    wanted = [one.symbol for one in night.files.symbols() if part_of(one.symbol) % batches == batch]
    symbols = [symbol for symbol in wanted if symbol not in gone]
    known: dict[str, BarSeries] = {}
    for part in range(batch, PARTS, batches):
        series = series_of(read_part(night.lake.bars(part), BARS))
        known.update((symbol, one) for symbol, _, one in series)
    sources = daily_sources(night.config, night.folder / "cookies" / str(batch), share=batches)
    terms = Terms(night.terms.history_years * _YEAR_DAYS, wait_seconds=wait_seconds)
    outcomes = download(night.downloads, f"b{batch}", symbols, known, sources, night.session, terms)
    counts = Counter(str(outcome) for outcome in outcomes.values())
    return Downloaded(len(wanted), dict(sorted(counts.items())), len(wanted) - len(symbols))


@dataclass(frozen=True)
class Covered:
    """How many of the active symbols have a bar of the session."""

    symbols: int
    outcomes: dict[str, int]
    coverage: float


def gate(night: Night) -> Covered:
    """Look whether enough was downloaded to go on.

    Raises:
        StepMissing: no symbols were collected.
        CoverageTooLow: too few symbols have a bar of the session; the message says which lack it and why.
    """
    outcomes = _outcomes(night)
    coverage = check_coverage(outcomes, night.terms.minimum_coverage)
    counts = Counter(str(outcome) for outcome in outcomes.values())
    return Covered(len(outcomes), dict(sorted(counts.items())), round(coverage, 6))


def _outcomes(night: Night) -> dict[str, Outcome]:
    """Return what became of each stock of the night; one that was never asked for is an error."""
    found = night.downloads.outcomes()
    gone = known_gone(night.folder, night.session, GONE_DAYS)
    return {
        one.symbol: found.get(one.symbol, Outcome.DELISTED if one.symbol in gone else Outcome.ERROR)
        for one in night.files.symbols()
    }


@dataclass(frozen=True)
class Merged:
    """Downloads with rows that were brought into the lake, and what is wrong with them, by problem."""

    symbols: int
    problems: dict[str, int]


def merge_downloads(night: Night) -> Merged:
    """Bring what was downloaded into the lake's bars and actions, and write down what is wrong with it.

    Raises:
        BrokenPart: a file cannot be read.
    """
    downloads = night.downloads.read()
    # All that the calendar knows: the lake may have older bars, and newer ones where a past night runs again.
    calendar = SessionCalendar(night.config.spec.universe.exchange)
    trading = np.array(calendar.sessions_between(FIRST_DAY, LAST_DAY), dtype=np.int32)
    problems = merge(night.lake, downloads, trading)
    night.files.write_problems(quality_table(problems))
    symbols = sum(len(download.raw.sessions) > 0 for download in downloads.values())
    return Merged(symbols, dict(sorted(Counter(one.problem for one in problems).items())))


@dataclass(frozen=True)
class Scanned:
    """How many symbols are on the watchlist, by rule."""

    picks: int
    rules: dict[str, int]


def scan(night: Night, limit: int = WATCHLIST_LIMIT, rules: Sequence[Rule] = SCAN_RULES) -> Scanned:
    """Find what the rules pick on the session, and write the watchlist down.

    Raises:
        StepMissing: no symbols were collected.
        BrokenPart: the lake's indicators are not those of its bars.
    """
    listed = night.files.symbols()
    symbols = {one.symbol for one in listed}
    scanner = Scanner(night.indicators, rules)
    findings = (one for one in scanner.scan_all(night.lake, night.session) if one.symbol in symbols)
    caps = {one.symbol: one.market_cap for one in listed if one.market_cap is not None}
    collection = night.config.spec.universe.collect
    picks = choose(findings, limit, caps, () if collection is None else collection.tiers)
    night.files.write_watchlist(watchlist_table(night.session, picks))
    return Scanned(len(picks), dict(sorted(Counter(pick.finding.rule for pick in picks).items())))


def load(night: Night, writer: Writer) -> Loaded:
    """Bring the night's results and the lake's bars to the store, in one transaction.

    Raises:
        StepMissing: the session was not collected, merged or scanned.
        BrokenPart: a file cannot be read; nothing is loaded.
    """
    return load_store(
        writer, night.lake, night.indicators, night.session, _results(night), since=_oldest(night)
    )


def load_by_delivery(night: Night, deliveries: Deliveries, seconds: float) -> Delivered:
    """As `load`, through the service that holds the master; return when readers can see it.

    Raises:
        StepMissing, BrokenPart: as `load`.
        Refused: the store cannot load it; what it held before stays.
        NotLoaded: the store did not within ``seconds``; it will when it runs.
    """
    delivery = deliver(
        deliveries, night.lake, night.indicators, night.session, _results(night), since=_oldest(night)
    )
    return deliveries.await_outcome(delivery, seconds)


def _results(night: Night) -> Results:
    picks, problems = picks_of(night.files.watchlist()), problems_of(night.files.problems())
    return Results(picks, problems, run_quality(_outcomes(night), problems, len(picks)))


def _oldest(night: Night) -> int:
    return night.session - night.terms.history_years * _YEAR_DAYS
