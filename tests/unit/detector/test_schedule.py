"""When to commit."""

import pytest

from stockpipeline.detector.schedule import BEHIND_INTERVAL_SECONDS, URGENT_INTERVAL_SECONDS, CommitSchedule

INTERVAL_SECONDS = 0.1


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def schedule(clock: Clock) -> CommitSchedule:
    return CommitSchedule(INTERVAL_SECONDS, clock)


def test_nothing_open_is_never_due(schedule: CommitSchedule) -> None:
    assert not schedule.is_open
    assert not schedule.is_due(caught_up=True, far_behind=False)
    assert schedule.seconds_left() == INTERVAL_SECONDS


@pytest.mark.parametrize("caught_up", [True, False])
def test_ticks_alone_wait_for_the_interval(schedule: CommitSchedule, clock: Clock, caught_up: bool) -> None:
    schedule.opened()
    clock.now += INTERVAL_SECONDS / 2
    assert not schedule.is_due(caught_up=caught_up, far_behind=False)
    assert schedule.seconds_left() == pytest.approx(INTERVAL_SECONDS / 2)
    clock.now += INTERVAL_SECONDS / 2
    assert schedule.is_due(caught_up=caught_up, far_behind=False)
    assert schedule.seconds_left() == 0.0


def test_a_signal_is_committed_at_once_unless_ticks_wait(schedule: CommitSchedule) -> None:
    schedule.opened()
    schedule.urgent()
    assert schedule.is_due(caught_up=True, far_behind=False)
    assert not schedule.is_due(caught_up=False, far_behind=False)
    assert schedule.seconds_left() == 0.0


def test_signals_one_after_another_share_commits(schedule: CommitSchedule, clock: Clock) -> None:
    schedule.opened()
    schedule.urgent()
    schedule.closed()
    clock.now += URGENT_INTERVAL_SECONDS / 4
    schedule.opened()
    schedule.urgent()
    assert not schedule.is_due(caught_up=True, far_behind=False)
    assert schedule.seconds_left() == pytest.approx(URGENT_INTERVAL_SECONDS * 3 / 4)
    clock.now += URGENT_INTERVAL_SECONDS
    assert schedule.is_due(caught_up=True, far_behind=False)


def test_the_next_transaction_is_not_urgent_by_itself(schedule: CommitSchedule, clock: Clock) -> None:
    schedule.opened()
    schedule.urgent()
    schedule.closed()
    clock.now += 1
    schedule.opened()
    assert not schedule.is_due(caught_up=True, far_behind=False)


def test_far_behind_commits_are_seldom(schedule: CommitSchedule, clock: Clock) -> None:
    schedule.opened()
    schedule.urgent()
    clock.now += INTERVAL_SECONDS
    assert not schedule.is_due(caught_up=False, far_behind=True)
    # The client had fetched no more of what is on the broker.
    assert not schedule.is_due(caught_up=True, far_behind=True)
    assert schedule.seconds_left() == pytest.approx(BEHIND_INTERVAL_SECONDS - INTERVAL_SECONDS)
    assert schedule.is_due(caught_up=False, far_behind=False), "it is the usual interval again"
    clock.now += BEHIND_INTERVAL_SECONDS
    assert schedule.is_due(caught_up=False, far_behind=True)


def test_an_interval_longer_than_the_one_of_being_behind_stays(clock: Clock) -> None:
    schedule = CommitSchedule(5.0, clock)
    schedule.opened()
    clock.now += 4.0
    assert not schedule.is_due(caught_up=False, far_behind=True)
