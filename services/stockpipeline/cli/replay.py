"""`stockpipeline replay`: a pipeline without any server, over bars and ticks of the past.

It runs the detector's own core, so what comes out is what the pipeline would have said live. Out go signals
and, if wanted, the indicators' values after every tick that counted: JSON lines, in the order of the ticks;
and what the signals would have earned.
"""

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from stockpipeline.api import Performance, PipelineConfig
from stockpipeline.cli import performance_report
from stockpipeline.cli.progress import ProgressBar
from stockpipeline.cli.replay_input import ReplayInput, from_files, packaged
from stockpipeline.cli.replay_summary import ReplaySummary
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.corporate_actions import ImpossibleAction
from stockpipeline.market.ticks import Tick
from stockpipeline.signals.detector import Detector
from stockpipeline.signals.judged import JudgedDetector
from stockpipeline.signals.offline import OfflineDetector
from stockpipeline.signals.performance.judge import measures_of
from stockpipeline.signals.signal import encode_signal
from stockpipeline.sources.files import BadFile

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True)
class ReplayFiles:
    """What to read and where to write. Without bars: those that ship with the product."""

    bars: Path | None
    ticks: Path | None
    """Without a file of ticks, the bars are played."""
    signals: Path | None
    """Without a file: standard output."""
    indicators: Path | None
    performance: Path | None
    """Only where a file is named, the performance of the signals is computed."""


def replay(config: PipelineConfig, files: ReplayFiles) -> int:
    """Run the replay, write the files and print a summary; return the exit status.

    Raises:
        BadFile: a file cannot be read or written, or has a mistake in it.
        IndicatorError, RuleError: an indicator or a rule cannot be computed.
        UnknownPackagedSymbol: there is no file of bars, and no packaged bars of a symbol.
    """
    calendar = SessionCalendar(config.spec.universe.exchange)
    name, spec = f"{config.namespace}/{config.name}", config.spec
    measures = measures_of(spec.performance or Performance())
    judged, minutes = None, spec.bars.interval.minutes
    if files.performance is not None:
        judged = JudgedDetector(
            name, spec.indicators, spec.rules, calendar, measures, own_benchmark=True, minutes=minutes
        )
    core = judged or Detector(name, spec.indicators, spec.rules, calendar, minutes)
    source: ReplayInput = (
        packaged(config, calendar)
        if files.bars is None
        else from_files(config, calendar, files.bars, files.ticks)
    )
    detector = OfflineDetector(core, source.bars, source.actions, calendar)
    summary, report = ReplaySummary(), None
    with ExitStack() as stack:
        signals = sys.stdout.buffer if files.signals is None else _open(stack, files.signals)
        indicators = None if files.indicators is None else _open(stack, files.indicators)
        performance = None if files.performance is None else _open(stack, files.performance)
        bar = ProgressBar(source.total, "ticks", sys.stderr)
        try:
            for tick in source.ticks(bar):
                bar.count()
                outcome, found = detector.on_tick(tick)
                summary.tick(tick, outcome)
                for signal in found:
                    signals.write(encode_signal(signal) + b"\n")
                    summary.signal(signal)
                if indicators is not None and outcome.accepted:
                    indicators.write(_values(core, tick))
        except ImpossibleAction as error:
            raise BadFile(f"{files.bars}: {error}") from None
        finally:
            bar.clear()
        signals.flush()
        if judged is not None and performance is not None:
            report = performance_report.report(name, measures, judged.results())
            performance.write(performance_report.encode(report))
    summary.refused.update(source.refused)
    # Standard output belongs to the signals unless they have a file.
    people = sys.stderr if files.signals is None else sys.stdout
    print(summary.text([*source.notes, *_unused(detector, files)]), file=people)
    if report is not None:
        print("", *performance_report.lines(report), sep="\n", file=people)
    return 0


def _open(stack: ExitStack, path: Path) -> BinaryIO:
    try:
        return stack.enter_context(path.open("wb"))
    except OSError as error:
        raise BadFile(f"{path}: cannot be written: {error.strerror}") from error


def _values(core: Detector, tick: Tick) -> bytes:
    """Return all values after a tick as a line of JSON; what is not known is null."""
    values = core.values(tick.symbol)
    line = {
        "symbol": tick.symbol,
        "ts": tick.ts,
        "values": {name: value for name, (value, _) in values.items()},
        "ready": {name: ready for name, (_, ready) in values.items()},
    }
    # NaN is null in msgspec's JSON.
    return _encoder.encode(line) + b"\n"


def _unused(detector: OfflineDetector, files: ReplayFiles) -> list[str]:
    if files.ticks is None:
        return []
    notes = []
    later = sum(detector.unused_bars.values())
    if later:
        notes.append(
            f"{files.bars}: {later} bars are of the first tick's session of their symbol or later, and were "
            "not used"
        )
    if detector.without_ticks:
        notes.append(f"{files.ticks}: no ticks of {', '.join(detector.without_ticks)}")
    return notes
