"""What `make load` decides and computes: the choice, the pipeline, the kills, percentiles, what was lost."""

from __future__ import annotations

import json
import math
from datetime import date
from itertools import pairwise
from typing import Any

import pytest

from cluster.load import faults, readers
from cluster.load.choice import Choice
from cluster.load.counted import compare
from cluster.load.histogram import percentile
from cluster.load.pod.numbers import Numbers
from cluster.load.pod.reader import BOUNDS, Tally
from cluster.load.resource import SYMBOLS, pipeline
from cluster.settings import SettingsError
from stockpipeline.api import parse_document
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.market.sessions import session_date
from stockpipeline.sources.configured import replay_source

# Half days count as whole ones, and the last session is that of an average year.
ABOUT = 0.06


def test_what_is_not_said_is_a_steady_load() -> None:
    assert Choice.from_environment({}) == Choice("steady", 1000, 20, 5)


def test_the_replaced_systems_test_reads_as_fast_as_it_is_answered() -> None:
    assert Choice.from_environment({"PROFILE": "replaced", "RATE": "200"}) == Choice("replaced", 200, 0, 5)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PROFILE", "wild"),
        ("RATE", "9"),
        ("RATE", "many"),
        ("READS", "-1"),
        ("MINUTES", "nan"),
        ("MINUTES", "0"),
    ],
)
def test_a_choice_that_cannot_be_is_named(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable}='{value}': use "):
        Choice.from_environment({variable: value})


@pytest.mark.parametrize(("rate", "minutes"), [(1000, 5), (200, 10), (5000, 30), (50_000, 120)])
def test_the_pipeline_gives_the_chosen_rate_for_the_chosen_time(rate: float, minutes: float) -> None:
    resource = pipeline(Choice("steady", rate, 20, minutes))
    config = parse_document(resource)
    replay = config.spec.sources[0].replay
    assert replay is not None
    assert replay.end is not None
    sessions = list(_sessions(replay.start, replay.end))
    ticks = len(sessions) * len(SYMBOLS) * replay.ticks_per_bar
    assert ticks == pytest.approx(rate * minutes * 60, rel=ABOUT)
    day = 6.5 * 3600
    assert len(SYMBOLS) * replay.ticks_per_bar * replay.speed / day == pytest.approx(rate, rel=0.01)


def _sessions(start: date, end: date) -> list[date]:
    bars = packaged_bars("IBM")
    return [day for day in map(session_date, bars.sessions.tolist()) if start <= day <= end]


def test_every_symbol_has_the_history_that_indicators_need() -> None:
    config = parse_document(pipeline(Choice("steady", 10, 20, 1)))
    replay = config.spec.sources[0].replay
    assert replay is not None
    for symbol in SYMBOLS:
        assert len(packaged_bars(symbol).before(replay.start)) > 250, symbol
    assert replay_source(config, SessionCalendar("XNAS"))


def test_kills_take_turns_and_leave_the_end_calm() -> None:
    planned = faults.plan(300)
    assert [one.victim for one in planned[:6]] == [*faults.VICTIMS, faults.VICTIMS[0]]
    assert [later.after - one.after for one, later in pairwise(planned)] == [40.0] * 6
    assert planned[-1].after <= 285


def test_a_load_that_is_too_short_has_no_kill() -> None:
    assert faults.plan(30) == ()


@pytest.mark.parametrize(
    ("conditions", "ready"),
    [
        ([{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}], True),
        ([{"type": "Ready", "status": "False"}], False),
        ([], False),
    ],
)
def test_a_pod_is_ready_when_it_says_so(conditions: list[dict[str, str]], ready: bool) -> None:
    item = {"metadata": {"name": "a", "uid": "u"}, "status": {"conditions": conditions}}
    assert faults.parsed(item) == faults.Pod("a", "u", ready)


BUCKETS = {1.0: 10.0, 2.0: 30.0, 4.0: 40.0, math.inf: 40.0}


@pytest.mark.parametrize(
    ("share", "value"),
    [(0.25, 1.0), (0.5, 1.5), (0.125, 0.5), (0.75, 2.0), (0.875, 3.0), (1.0, 4.0)],
)
def test_percentiles_lie_evenly_within_a_bucket(share: float, value: float) -> None:
    assert percentile(BUCKETS, share) == pytest.approx(value)


def test_a_percentile_beyond_the_last_bound_is_not_known() -> None:
    assert percentile({1.0: 90.0, math.inf: 100.0}, 0.99) == math.inf
    assert percentile({1.0: 90.0, math.inf: 100.0}, 0.45) == pytest.approx(0.5)


@pytest.mark.parametrize("buckets", [{}, {1.0: 0.0, math.inf: 0.0}])
def test_nothing_has_no_percentile(buckets: dict[float, float]) -> None:
    assert percentile(buckets, 0.5) is None


def test_signals_are_compared_by_their_ids() -> None:
    found = compare(["a", "b", "c"], ["a", "c", "c", "c", "x"])
    assert (found.expected, found.lost, found.doubled, found.unexpected) == (3, 1, 2, 1)
    assert not found.exact
    assert compare(["a", "b"], ["b", "a"]).exact


def test_numbers_that_are_left_out_or_come_again_are_counted() -> None:
    numbers = Numbers(from_the_first=True)
    for symbol, number in [("A", 1), ("B", 2), ("A", 2), ("A", 2), ("A", 5), ("A", 4), ("B", 3)]:
        numbers.take(symbol, number)
    assert (numbers.ticks, numbers.missing, numbers.repeated) == (7, 3, 2)


def test_what_retention_deleted_is_not_missing() -> None:
    numbers = Numbers(from_the_first=False)
    for number in (500, 501, 503):
        numbers.take("A", number)
    assert (numbers.ticks, numbers.missing, numbers.repeated) == (3, 1, 0)


def test_what_the_readers_print_is_read_again() -> None:
    tally = Tally()
    for at, seconds, error in [
        (100.2, 0.004, None),
        (103.0, 0.008, None),
        (104.9, 5.0, "status 503"),
        (105.0, 0.002, None),
    ]:
        tally.add(at, seconds, error)
    reads = readers.Reads.parse(json.dumps(tally.as_json()))
    assert [(one.at, one.requests, one.failed) for one in reads.windows] == [(100, 3, 1), (105, 1, 0)]
    assert (reads.requests, reads.failed, reads.errors) == (4, 1, {"status 503": 1})
    half = reads.delay(0.5)
    assert half is not None
    assert half == pytest.approx(4, rel=0.1)  # as exact as the bounds are close
    assert reads.delay(1.0) == pytest.approx(8, rel=0.1)


def test_a_delay_beyond_all_bounds_is_in_the_last() -> None:
    tally = Tally()
    tally.add(0.0, 1e6, None)
    reads = readers.Reads.parse(json.dumps(tally.as_json()))
    assert reads.delay(0.99) == pytest.approx(BOUNDS[-1], rel=0.1)


def test_the_readers_pod_may_do_nothing_but_run_its_program() -> None:
    pod: dict[str, Any] = readers.manifest(Choice("steady", 1000, 20, 5), "image:tag")
    (container,) = pod["spec"]["containers"]
    compile(container["command"][2], "reader", "exec")
    assert json.loads(container["command"][3])["seconds"] == 300
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    assert not pod["spec"]["automountServiceAccountToken"]
