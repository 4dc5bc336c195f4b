"""What the process remembers: how long a lock stands still, and which answers were a clear no."""

from __future__ import annotations

from stockpipeline_operator.reconcile.attempts import Attempts
from stockpipeline_operator.reconcile.condemn import retry_after
from stockpipeline_operator.reconcile.state import Release, ReleaseStatus

KEY = ("default", "demo")
REFUSED = 'Deployment.apps "demo-producer" is invalid: spec.replicas'


class Clock:
    time = 100.0

    def __call__(self) -> float:
        return self.time


def pending(uid: str) -> Release:
    return Release("demo", 1, ReleaseStatus.PENDING_UPGRADE, "digest", uid)


def test_a_lock_is_left_alone_until_it_has_stood_still() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    assert attempts.lock_seconds(KEY, pending("a")) == 10
    clock.time += 9
    assert attempts.lock_seconds(KEY, pending("a")) == 1
    assert attempts.lock_seconds(KEY, pending("b")) == 10, "somebody is at work"
    clock.time += 11
    assert attempts.lock_seconds(KEY, pending("b")) == 0


def test_a_lock_of_our_own_is_nobodys() -> None:
    attempts = Attempts(Clock())
    attempts.failed(KEY, "digest", "the API server does not answer")
    assert attempts.lock_seconds(KEY, pending("a")) == 0
    attempts.succeeded(KEY)
    assert attempts.lock_seconds(KEY, pending("b")) == 10


def test_a_lock_that_helm_ran_into_is_not_ours() -> None:
    attempts = Attempts(Clock())
    attempts.failed(KEY, "digest", "another operation (install/upgrade/rollback) is in progress")
    assert attempts.lock_seconds(KEY, pending("a")) == 10


def test_a_clear_no_counts_and_anything_else_does_not() -> None:
    attempts = Attempts(Clock())
    for _ in range(5):
        attempts.failed(KEY, "digest", "connection refused")
        attempts.failed(KEY, "digest", "the server is currently unable to handle the request")
    assert attempts.refusal(KEY, "digest") is None
    for _ in range(3):
        assert attempts.refusal(KEY, "digest") is None
        attempts.failed(KEY, "digest", REFUSED)
    assert attempts.refusal(KEY, "digest") == REFUSED
    assert attempts.refusal(KEY, "another") is None
    attempts.failed(KEY, "another", REFUSED)
    assert attempts.refusal(KEY, "another") is None


def test_a_failed_spec_is_left_alone_for_longer_each_time() -> None:
    minutes = [retry_after(attempts).total_seconds() / 60 for attempts in (1, 2, 3, 6, 7, 100)]
    assert minutes == [10, 20, 40, 320, 360, 360]
