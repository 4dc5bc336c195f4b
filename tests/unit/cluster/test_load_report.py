"""What a load's report says."""

from __future__ import annotations

import dataclasses
import json
import math

from cluster.load.choice import Choice
from cluster.load.counted import Comparison, Counted
from cluster.load.faults import Fault
from cluster.load.figures import SUBJECTS, Points
from cluster.load.readers import Reads, Window
from cluster.load.report import Figure, Measured, as_json, as_markdown, figures, shown

EXACT = Comparison(expected=7, lost=0, doubled=0, unexpected=0)


def measured() -> Measured:
    lines: dict[str, dict[str, Points]] = {subject: {} for subject in SUBJECTS}
    lines["throughput"]["taken by the detector"] = [(1000.0, 10.0), (1005.0, 990.0), (1010.0, 1000.0)]
    lines["memory"]["detector"] = [(1000.0, 90.0), (1005.0, 120.0)]
    return Measured(
        choice=Choice("steady", 1000, 20, 1),
        start=1000.0,
        end=1060.0,
        tick_to_signal={0.1: 50.0, 0.2: 100.0, math.inf: 100.0},
        commit_to_readable={},
        lines=lines,
        reads=Reads((Window(1000.0, 600, 6, {1.0: 594.0}, {"status 503": 6}),)),
        faults=(),
        counted=Counted(60_000, 0, 0, 0, EXACT, EXACT),
    )


def test_figures_say_what_is_known() -> None:
    values = {figure.name: figure.value for figure in figures(measured())}
    assert values["ticks taken, median"] == 990.0
    assert values["tick to signal, p50"] == 100.0
    assert values["reads"] == 10.0
    assert values["reads failed"] == 1.0
    assert values["memory of the detector at most"] == 120.0
    assert values["commit to readable, p50"] is None
    assert values["lag at most"] is None


def test_what_is_not_known_is_no_zero() -> None:
    assert shown(Figure("x", None, "ms")) == "-"
    assert shown(Figure("x", math.inf, "ms")) == "beyond the largest bucket"
    assert shown(Figure("x", 0.0, "%")) == "0 %"
    assert shown(Figure("x", 1234.5, "/s")) == "1,234/s"
    assert shown(Figure("x", 1.234, "ms")) == "1.23 ms"


def test_a_load_without_loss_says_so() -> None:
    text = as_markdown(measured(), "steady.png")
    assert "**Nothing was lost or doubled: all 60,000 ticks in order, all 7 signals once.**" in text
    assert "| reads failed | 1 % |" in text
    assert "Reads failed by: status 503 6." in text
    assert "## Kills" not in text
    assert "![over time](steady.png)" in text


def test_a_loss_is_said_first_and_kills_are_listed() -> None:
    lossy = Counted(60_000, 0, 0, 5, dataclasses.replace(EXACT, lost=1), EXACT)
    faults = (Fault(1020.0, "kafka", "kafka-0", 12.34),)
    text = as_markdown(dataclasses.replace(measured(), counted=lossy, faults=faults), "faults.png")
    assert "**Not exactly once" in text
    assert "| signals in Kafka | 7 | 1 | 0 | 0 |" in text
    assert "| 20 s | kafka | 12.3 s |" in text
    assert "The first 5 ticks were no longer in Kafka to be counted." in text


def test_the_replaced_systems_figures_are_beside_ours() -> None:
    text = as_markdown(dataclasses.replace(measured(), choice=Choice("replaced", 1000, 0, 1)), "replaced.png")
    assert "| reads | 10/s | about 5 |" in text
    assert "| reads failed | 1 % | 29 % |" in text


def test_the_document_has_every_line_and_is_json() -> None:
    found = json.loads(json.dumps(as_json(measured()), allow_nan=False))
    assert found["exact"] is True
    assert [one["subject"] for one in found["series"]] == [*SUBJECTS, "reads", "read delays"]
    assert {"name": "ticks", "value": 60_000, "unit": ""} in found["figures"]
