"""The thread that writes the view: what counts is what stands in Redis in the end."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from stockpipeline.adapters.performance_redis import Closed, ViewUnavailable
from stockpipeline.detector import live_view
from stockpipeline.detector.live_view import LiveView


class Redis:
    """A view that remembers what was written, and fails while told to."""

    url = "redis://nowhere"

    def __init__(self) -> None:
        self.open: dict[int, dict[str, bytes]] = {}
        self.closed: dict[int, dict[str, Closed]] = {}
        self.fails = False
        self.failures = 0
        self.hold = threading.Event()
        self.hold.set()

    def write(
        self, partition: int, changed: Mapping[str, bytes], closed: Mapping[str, Closed], *, whole: bool
    ) -> None:
        self.hold.wait(20)
        if self.fails:
            self.failures += 1
            raise ViewUnavailable("away")
        mine = {} if whole else self.open.setdefault(partition, {})
        for signal in closed:
            mine.pop(signal, None)
        self.open[partition] = mine | dict(changed)
        self.closed.setdefault(partition, {}).update(closed)

    def close(self) -> None: ...


@pytest.fixture
def redis() -> Redis:
    return Redis()


@pytest.fixture
def view(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveView]:
    monkeypatch.setattr(live_view, "_RETRY_SECONDS", 0.01)
    made = LiveView(redis)  # type: ignore[arg-type]
    yield made
    redis.fails = False
    redis.hold.set()
    made.close()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_is_open_is_shown_until_it_is_closed(redis: Redis, view: LiveView) -> None:
    view.begin(1, {"a": b"1", "b": b"1"}, {})
    eventually(lambda: redis.open.get(1) == {"a": b"1", "b": b"1"})
    view.update(1, {"b": b"2", "c": b"1"}, {"a": Closed(7, b"final")})
    eventually(lambda: redis.open[1] == {"b": b"2", "c": b"1"})
    assert redis.closed[1] == {"a": Closed(7, b"final")}


def test_a_new_owner_removes_what_is_left_over(redis: Redis, view: LiveView) -> None:
    redis.open[1] = {"stale": b"1"}
    view.begin(1, {"a": b"1"}, {})
    eventually(lambda: redis.open[1] == {"a": b"1"})


def test_updates_are_merged_while_redis_is_slow(redis: Redis, view: LiveView) -> None:
    redis.hold.clear()
    view.begin(1, {}, {})
    for number in range(100):
        view.update(1, {"a": str(number).encode()}, {})
    view.update(1, {}, {"a": Closed(1, b"final")})
    redis.hold.set()
    eventually(lambda: redis.closed.get(1) == {"a": Closed(1, b"final")})
    eventually(lambda: redis.open[1] == {})


def test_nothing_is_missing_when_redis_comes_back_empty(redis: Redis, view: LiveView) -> None:
    view.begin(1, {"a": b"1"}, {})
    view.begin(2, {"z": b"1"}, {})
    eventually(lambda: redis.open == {1: {"a": b"1"}, 2: {"z": b"1"}})
    redis.fails = True
    view.update(1, {"b": b"1"}, {"a": Closed(1, b"final")})
    eventually(lambda: redis.failures > 2)
    view.update(1, {"c": b"1"}, {})
    redis.open, redis.closed = {}, {}
    redis.fails = False
    eventually(lambda: redis.open.get(1) == {"b": b"1", "c": b"1"})
    assert redis.closed[1] == {"a": Closed(1, b"final")}


def test_a_partition_of_another_owner_is_left_alone(redis: Redis, view: LiveView) -> None:
    view.begin(1, {"a": b"1"}, {})
    eventually(lambda: 1 in redis.open)
    view.drop(1)
    view.update(1, {"b": b"1"}, {})
    view.begin(2, {}, {})
    eventually(lambda: 2 in redis.open)
    assert redis.open[1] == {"a": b"1"}


def test_the_end_writes_what_is_left(redis: Redis) -> None:
    made = LiveView(redis)  # type: ignore[arg-type]
    redis.hold.clear()
    made.begin(1, {"a": b"1"}, {})
    made.update(1, {"b": b"1"}, {})
    redis.hold.set()
    made.close()
    assert redis.open == {1: {"a": b"1", "b": b"1"}}


def test_the_end_does_not_wait_for_a_redis_that_is_away(redis: Redis) -> None:
    made = LiveView(redis)  # type: ignore[arg-type]
    redis.fails = True
    made.begin(1, {"a": b"1"}, {})
    eventually(lambda: redis.failures > 0)
    made.close()
    assert redis.open == {}
