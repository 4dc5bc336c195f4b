"""What of the performance goes out with a commit, and what only after it."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from prometheus_client import CollectorRegistry

from stockpipeline.detector import performance as module
from stockpipeline.detector.assignment import Assignment
from stockpipeline.detector.performance import JudgedSignals
from stockpipeline.runtime.metrics import PerformanceMetrics
from stockpipeline.signals.performance.judge import News, Reached
from stockpipeline.signals.performance.record import (
    Performance,
    Price,
    Result,
    Status,
    decode_performance,
    encode_performance,
)


def record(name: str, status: Status = Status.OPEN) -> Performance:
    result = Result(0, Price(7000, 1.0), 0.02, 0.019, None, 0.03, -0.01, 60.0)
    return Performance(
        name, "default/demo", "IBM", "dip", "buy", 1.0, "2013-01-02", status, Price(1, 1.0), Price(2, 1.0),
        None, {"1h": result, "1d": result if status is Status.CLOSED else None},
    )  # fmt: skip


class Parts:
    """A ``JudgedSignals`` whose surroundings are looked at."""

    def __init__(self) -> None:
        self.producer, self.detector, self.view, self.feed = Mock(), Mock(), Mock(), Mock()
        self.registry = CollectorRegistry()
        self.assignment = Assignment(["IBM"], 4)
        self.partition = self.assignment.partition_of["IBM"]
        self.reader = Mock()
        self.detector.open_by_rule.return_value = {"dip": 3}
        self.tested = JudgedSignals(
            self.producer, "performance", lambda: self.reader, self.detector, self.assignment, self.feed,
            self.view, PerformanceMetrics(self.registry, "demo"), lambda: True,
        )  # fmt: skip

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"pipeline": "demo", "rule": "dip", **labels})


@pytest.fixture
def parts() -> Parts:
    return Parts()


def test_records_are_written_and_shown_only_after_the_commit(parts: Parts) -> None:
    news = News([record("a"), record("b", Status.CLOSED)], [Reached("dip", "1h", 0.019)])
    parts.detector.news.return_value = news
    parts.tested.write(["IBM"])
    sent = [(one.args[0], one.args[2], one.kwargs["partition"]) for one in parts.producer.send.mock_calls]
    assert sent == [("performance", "a", parts.partition), ("performance", "b", parts.partition)]
    assert decode_performance(parts.producer.send.mock_calls[0].args[1]) == record("a")
    parts.view.update.assert_not_called()
    assert parts.value("stockpipeline_signal_net_return_ratio_count", horizon="1h") is None

    parts.tested.committed()
    (partition, changed, closed), _ = parts.view.update.call_args
    assert (partition, list(changed), list(closed)) == (parts.partition, ["a"], ["b"])
    assert closed["b"].ts == 7000
    assert parts.value("stockpipeline_signal_net_return_ratio_count", horizon="1h") == 1
    assert parts.value("stockpipeline_signal_gains_ratio_total", horizon="1h") == 0.019
    assert parts.value("stockpipeline_signal_losses_ratio_total", horizon="1h") == 0
    assert parts.value("stockpipeline_signal_open_signals") == 3
    parts.tested.committed()
    assert parts.value("stockpipeline_signal_net_return_ratio_count", horizon="1h") == 1


def test_what_was_aborted_is_not_shown(parts: Parts) -> None:
    parts.detector.news.return_value = News([record("a")], [Reached("dip", "1h", -0.1)])
    parts.tested.write(["IBM"])
    parts.tested.clear()
    parts.tested.committed()
    parts.view.update.assert_not_called()
    assert parts.value("stockpipeline_signal_losses_ratio_total", horizon="1h") is None


def test_a_commit_has_room_for_so_many_live_figures(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LIVE_RECORDS", 3)
    parts.detector.news.side_effect = [News([record("a")] * 2, []), News([record("b")] * 2, []), News([], [])]
    parts.tested.clear()
    for _ in range(3):
        parts.tested.write(["IBM"])
    assert [one.args[1] for one in parts.detector.news.mock_calls] == [3, 1, 0]


def test_an_owner_shows_what_is_open_and_what_was_closed_last(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def message(value: bytes | None) -> Any:
        return Mock(value=lambda: value)

    newest = [message(encode_performance(one)) for one in (record("x"), record("y", Status.CLOSED))]
    monkeypatch.setattr(module, "backwards", lambda *_: iter([[*newest, message(None)], []]))
    parts.detector.results_of.return_value = [record("a")]
    parts.tested.restored(parts.partition)
    (partition, open_ones, closed), _ = parts.view.begin.call_args
    assert (partition, list(open_ones), list(closed)) == (parts.partition, ["a"], ["y"])
    parts.reader.close.assert_called_once_with()


def test_the_benchmark_is_not_looked_at_all_the_time(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    parts.feed.advance.return_value = ["IBM"]
    assert parts.tested.compare() == ["IBM"]
    assert parts.tested.compare() == []
    now += 0.6
    assert parts.tested.compare() == ["IBM"]


def test_the_end_ends_feed_and_view(parts: Parts) -> None:
    parts.tested.close()
    parts.feed.close.assert_called_once_with()
    parts.view.close.assert_called_once_with()
