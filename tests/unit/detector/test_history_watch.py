"""Changed histories are heard of once, and a Redis that cannot be reached is no news."""

from __future__ import annotations

from unittest.mock import Mock

from stockpipeline.adapters.history_redis import HistoryUnavailable
from stockpipeline.detector.history_watch import HistoryWatch


def test_news_come_once_and_only_when_the_generation_has_changed() -> None:
    store = Mock()
    store.generation.return_value, store.digests.return_value = 1, {"AAPL": "a"}
    watch = HistoryWatch(store)
    assert watch.news() is None
    watch.look()
    assert watch.news() == {"AAPL": "a"}
    watch.look()
    assert watch.news() is None
    store.digests.assert_called_once_with()
    store.generation.return_value, store.digests.return_value = 2, {"AAPL": "b"}
    watch.look()
    assert watch.news() == {"AAPL": "b"}


def test_what_fails_between_the_two_requests_is_asked_for_again() -> None:
    store = Mock()
    store.generation.return_value = 1
    store.digests.side_effect = HistoryUnavailable("gone")
    watch = HistoryWatch(store)
    watch.look()
    assert watch.news() is None
    store.digests.side_effect, store.digests.return_value = None, {}
    watch.look()
    assert watch.news() == {}


def test_the_thread_ends_when_it_is_told_to() -> None:
    store = Mock()
    store.generation.side_effect = HistoryUnavailable("gone")
    watch = HistoryWatch(store, seconds=0.001)
    watch.start()
    watch.close()
    assert not watch._thread.is_alive()
