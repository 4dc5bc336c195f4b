"""Who may take a Lease and when: a table, and a simulation with pauses, delays and lost answers."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stockpipeline_operator.leadership import fence as fence_module
from stockpipeline_operator.leadership.election import DURATION, RENEW_DEADLINE, Election, Record
from stockpipeline_operator.leadership.fence import Fence, NotLeading

WALL = datetime.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=datetime.UTC)


def record(holder: str, version: int = 1, duration: float = DURATION) -> Record:
    return Record(holder, duration, f"renewal {version}", 0, str(version))


def test_a_lease_that_nobody_holds_is_taken_at_once() -> None:
    election = Election("me")
    assert election.may_take(0)
    election.see(record(""), 5)
    assert election.may_take(5)


def test_a_held_lease_is_taken_when_it_has_not_changed_for_its_duration() -> None:
    election = Election("me")
    election.see(record("other"), 100)
    election.see(record("other"), 109)
    assert not election.may_take(100 + DURATION)
    assert election.may_take(100.1 + DURATION)
    election.see(record("other", version=2), 111)
    assert not election.may_take(120), "it was renewed"


def test_a_deleted_lease_may_still_be_held() -> None:
    election = Election("me")
    election.see(record("other"), 100)
    election.see(None, 101)
    assert not election.may_take(105)
    assert election.may_take(101.1 + DURATION)


def test_what_is_written_follows_the_convention_of_client_go() -> None:
    election = Election("me")
    election.see(Record("other", 10, "", 4, "7"), 0)
    taken = election.next_spec(WALL)
    assert taken == {
        "holderIdentity": "me",
        "leaseDurationSeconds": 10,
        "renewTime": "2026-01-02T03:04:05.000678Z",
        "acquireTime": "2026-01-02T03:04:05.000678Z",
        "leaseTransitions": 5,
    }
    lease = {"metadata": {"resourceVersion": "8"}, "spec": taken}
    election.see(Record.of(lease), 1)
    assert election.next_spec(WALL)["leaseTransitions"] == 5, "a renewal is no transition"
    assert "acquireTime" not in election.next_spec(WALL)
    given_up = election.given_up_spec(WALL)
    assert (given_up["holderIdentity"], given_up["leaseDurationSeconds"]) == ("", 1)


def test_the_fence_opens_for_a_while_and_closes_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 50.0
    monkeypatch.setattr(fence_module, "monotonic", lambda: now)
    fence = Fence()
    with pytest.raises(NotLeading):
        fence.check()
    fence.open_until(57)
    now = 56.9
    fence.check()
    now = 57
    with pytest.raises(NotLeading):
        fence.check()
    fence.open_until(60)
    fence.close()
    with pytest.raises(NotLeading):
        fence.check()


class Simulated:
    """A participant with a clock of its own, against one stored Lease."""

    def __init__(self, name: str, offset: float) -> None:
        self.election = Election(name)
        self.offset = offset
        self.fence_until = float("-inf")  # in true time

    def turn(self, store: dict[str, Any], now: float, answer_lost: bool) -> None:
        """Look and take or renew, as `Leader` does; the answer of the write may be lost."""
        local = now + self.offset
        holds = self.election.seen is not None and self.election.seen.holder == self.election.identity
        if not holds:
            self.election.see(store["record"], local)
            if not self.election.may_take(local):
                return
        elif now >= self.fence_until:
            self.election = Election(self.election.identity + "'")  # a lost Lease ends the process
            return
        seen = self.election.seen
        if store["record"] is not None and (seen is None or seen.version != store["record"].version):
            self.election.see(store["record"], local)  # 409
            return
        spec = self.election.next_spec(WALL)
        store["writes"] += 1
        store["record"] = Record(
            spec["holderIdentity"], DURATION, "", spec["leaseTransitions"], str(store["writes"])
        )
        if not answer_lost:
            self.election.see(store["record"], local)
            self.fence_until = now + RENEW_DEADLINE


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3),
    st.lists(
        st.tuples(st.integers(0, 2), st.floats(0, 14), st.booleans()),
        min_size=1,
        max_size=60,
    ),
)
def test_two_fences_are_never_open_at_once(
    offsets: list[float], turns: list[tuple[int, float, bool]]
) -> None:
    """Whatever the order, the pauses between turns, the clocks and the answers that get lost."""
    participants = [Simulated(f"p{number}", offset) for number, offset in enumerate(offsets)]
    store: dict[str, Any] = {"record": None, "writes": 0}
    now = 0.0
    for who, pause, answer_lost in turns:
        now += pause
        participants[who].turn(store, now, answer_lost)
        assert sum(now < one.fence_until for one in participants) <= 1
