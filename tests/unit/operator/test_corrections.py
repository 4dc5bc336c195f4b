"""Two who fight over an object: corrections slow down, and peace is noticed."""

from __future__ import annotations

import datetime

from stockpipeline_operator.reconcile.corrections import Corrections
from stockpipeline_operator.reconcile.state import ObjectRef

KEY = ("default", "demo")
REF = ObjectRef("Deployment", "demo-producer")
START = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime.datetime:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += datetime.timedelta(seconds=seconds)


def test_each_correction_of_a_fight_waits_longer_up_to_ten_minutes() -> None:
    clock = Clock()
    corrections = Corrections(clock)
    waits = []
    for _ in range(12):
        corrections.made(KEY, REF)
        streak = corrections.streak(KEY, REF)
        assert streak is not None
        waits.append(corrections.wait_seconds(streak))
        clock.forward(waits[-1])
    assert waits == [0, 0, 10, 20, 40, 80, 160, 320, 600, 600, 600, 600]
    assert streak.count == 12
    assert streak.since == START


def test_peace_ends_a_fight() -> None:
    clock = Clock()
    corrections = Corrections(clock)
    for _ in range(5):
        corrections.made(KEY, REF)
    clock.forward(40 + 600)
    assert corrections.streak(KEY, REF) is not None
    clock.forward(1)
    assert corrections.streak(KEY, REF) is None


def test_objects_and_pipelines_are_counted_apart() -> None:
    corrections = Corrections(Clock())
    corrections.made(KEY, REF)
    assert corrections.streak(KEY, ObjectRef("Deployment", "demo-detector")) is None
    assert corrections.streak(("default", "other"), REF) is None
    corrections.forget(KEY)
    assert corrections.streak(KEY, REF) is None
