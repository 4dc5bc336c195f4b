"""What a load showed, as JSON for programs and as Markdown for people."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.load.choice import Choice
from cluster.load.counted import Comparison, Counted
from cluster.load.faults import Fault
from cluster.load.figures import SUBJECTS, Points
from cluster.load.histogram import percentile
from cluster.load.pod.reader import WINDOW
from cluster.load.readers import CLIENTS, Reads

_SHARES = (0.5, 0.95, 0.99)
# What the system that this one replaces said of a test of its own with the same kinds of load.
_REPLACED = {"reads": "about 5", "reads failed": "29 %"}


@dataclass(frozen=True)
class Measured:
    """All that was measured; times in seconds since the epoch, histograms by upper bound in seconds."""

    choice: Choice
    start: float
    """When the pipeline was applied."""
    end: float
    """When the last tick was processed."""
    tick_to_signal: dict[float, float]
    commit_to_readable: dict[float, float]
    lines: dict[str, dict[str, Points]]
    """By subject and name."""
    reads: Reads
    faults: Sequence[Fault]
    counted: Counted


@dataclass(frozen=True)
class Figure:
    """One figure; without a value it is not known, or there is none. Infinite: more than can be told."""

    name: str
    value: float | None
    unit: str


def figures(measured: Measured) -> list[Figure]:
    """Return the figures of a load."""
    reads, counted = measured.reads, measured.counted
    # The median: at the begin and at the end, and while something is killed, there are fewer.
    taken = [value for _, value in measured.lines["throughput"].get("taken by the detector", ())]
    found = [
        Figure("ticks", counted.ticks, ""),
        Figure("ticks taken, median", statistics.median(taken) if taken else None, "/s"),
        Figure("signals", counted.in_kafka.expected - counted.in_kafka.lost, ""),
    ]
    found += [
        Figure(f"tick to signal, p{share * 100:g}", _milli(percentile(measured.tick_to_signal, share)), "ms")
        for share in _SHARES
    ]
    found += [
        Figure(f"commit to readable, p{share * 100:g}", percentile(measured.commit_to_readable, share), "s")
        for share in (0.5, 0.99)
    ]
    found += [
        Figure("reads", reads.requests / measured.choice.seconds, "/s"),
        Figure("reads failed", 100 * reads.failed / reads.requests if reads.requests else None, "%"),
    ]
    found += [Figure(f"read, p{share * 100:g}", reads.delay(share), "ms") for share in _SHARES]
    found.append(Figure("lag at most", _most(measured.lines["lag"].get("lag", [])), "records"))
    for component, points in sorted(measured.lines["memory"].items()):
        found.append(Figure(f"memory of the {component} at most", _most(points), "MiB"))
    return found


def _milli(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _most(points: Points) -> float | None:
    return max((value for _, value in points), default=None)


def as_json(measured: Measured) -> dict[str, Any]:
    """Return the document that `build/load/PROFILE.json` has; what is not finite is text."""
    return {
        "choice": dataclasses.asdict(measured.choice),
        "start": measured.start,
        "end": measured.end,
        "figures": [
            {**dataclasses.asdict(figure), "value": _plain(figure.value)} for figure in figures(measured)
        ],
        "exact": measured.counted.exact,
        "counted": dataclasses.asdict(measured.counted),
        "faults": [dataclasses.asdict(fault) for fault in measured.faults],
        "readErrors": measured.reads.errors,
        "series": [
            {"subject": key, "title": subject.title, "unit": subject.unit, "lines": measured.lines[key]}
            for key, subject in SUBJECTS.items()
        ]
        + _read_series(measured.reads),
    }


def _plain(value: float | None) -> float | str | None:
    return str(value) if value is not None and not math.isfinite(value) else value


def _read_series(reads: Reads) -> list[dict[str, Any]]:
    delays: dict[str, Points] = {}
    for share in (0.5, 0.99):
        points = [(window.at, percentile(window.buckets, share)) for window in reads.windows]
        delays[f"p{share * 100:g}"] = [(at, value) for at, value in points if value is not None]
    rates: dict[str, Points] = {
        "asked": [(window.at, window.requests / WINDOW) for window in reads.windows],
        "failed": [(window.at, window.failed / WINDOW) for window in reads.windows],
    }
    return [
        {"subject": "reads", "title": "SQL at the replicas", "unit": "reads/s", "lines": rates},
        {"subject": "read delays", "title": "Time until an answer", "unit": "ms", "lines": delays},
    ]


def as_markdown(measured: Measured, picture: str) -> str:
    """Return the report; `picture` is the file with the lines, beside it."""
    choice = measured.choice
    reads = f"{choice.reads:g} reads a second" if choice.reads else "reads as fast as they are answered"
    lines = [
        f"# Load: {choice.profile}",
        "",
        f"{choice.rate:g} ticks a second and {reads} by {CLIENTS} clients, for {choice.minutes:g} min"
        + (f", with {len(measured.faults)} pods killed." if measured.faults else "."),
        "",
        f"**{_verdict(measured.counted)}**",
        "",
        *_figure_table(measured),
        "",
        "## Lost and doubled",
        "",
        *_counted_table(measured.counted),
    ]
    if measured.faults:
        lines += ["", "## Kills", "", *_fault_table(measured)]
    if measured.reads.errors:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(measured.reads.errors.items()))
        lines += ["", f"Reads failed by: {kinds}."]
    return "\n".join([*lines, "", f"![over time]({picture})", ""])


def _verdict(counted: Counted) -> str:
    if not counted.exact:
        return "Not exactly once: something was lost or doubled, see below."
    return "Nothing was lost or doubled: " + (
        f"all {counted.ticks:,} ticks in order, all {counted.in_kafka.expected:,} signals once."
    )


def _figure_table(measured: Measured) -> list[str]:
    found = figures(measured)
    if measured.choice.profile == "replaced":
        rows = ["| figure | here | the replaced system |", "|---|---|---|"]
        return rows + [
            f"| {figure.name} | {shown(figure)} | {_REPLACED.get(figure.name, '')} |" for figure in found
        ]
    return [
        "| figure | measured |",
        "|---|---|",
        *(f"| {figure.name} | {shown(figure)} |" for figure in found),
    ]


def shown(figure: Figure) -> str:
    """Return a figure as people read it; "-" where it is not known."""
    if figure.value is None:
        return "-"
    if math.isinf(figure.value):
        return "beyond the largest bucket"
    digits = 0 if figure.value >= 100 or figure.value == int(figure.value) else 1 if figure.value >= 10 else 2
    return f"{figure.value:,.{digits}f} {figure.unit}".replace(" /s", "/s").rstrip()


def _counted_table(counted: Counted) -> list[str]:
    def row(place: str, one: Comparison) -> str:
        return f"| {place} | {one.expected:,} | {one.lost} | {one.doubled} | {one.unexpected} |"

    ticks = f"| ticks in Kafka | {counted.ticks:,} | {counted.ticks_missing} | {counted.ticks_repeated} | |"
    note = []
    if counted.ticks_deleted:
        note = [
            "",
            f"The first {counted.ticks_deleted:,} ticks were no longer in Kafka to be counted.",
        ]
    return [
        "| what | there should be | lost | doubled | unexpected |",
        "|---|---|---|---|---|",
        ticks,
        row("signals in Kafka", counted.in_kafka),
        row("signals on a replica", counted.on_replica),
        "",
        "Ticks are judged by the numbers that their source gives them, signals by their ids: those that "
        "`stockpipeline replay` gives for the same pipeline without any server.",
        *note,
    ]


def _fault_table(measured: Measured) -> list[str]:
    return [
        "| after | killed | until another was ready |",
        "|---|---|---|",
        *(
            f"| {fault.at - measured.start:.0f} s | {fault.victim} | {fault.ready_after:.1f} s |"
            for fault in measured.faults
        ),
    ]


def write(measured: Measured, folder: Path) -> tuple[Path, Path, Path]:
    """Write the JSON and the Markdown; return their paths, and that of the picture, which is to be drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    name = measured.choice.profile
    document, text, picture = (folder / f"{name}{suffix}" for suffix in (".json", ".md", ".png"))
    document.write_text(json.dumps(as_json(measured), indent=1) + "\n")
    text.write_text(as_markdown(measured, picture.name))
    return document, text, picture
