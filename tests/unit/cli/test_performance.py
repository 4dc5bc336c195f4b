"""`stockpipeline performance` over what is in the topic."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from stockpipeline.adapters.kafka_client import KafkaUnavailable
from stockpipeline.cli import main, performance
from stockpipeline.signals.performance.record import (
    Performance,
    Price,
    Result,
    Status,
    encode_performance,
)
from tests.unit.cli.test_cli import resource, write


def record(name: str, net: float | None) -> Performance:
    result = None if net is None else Result(0, Price(9000, 1.0), net, net, None, 0.03, -0.01, 60.0)
    return Performance(
        name, "default/demo", "IBM", "dip", "buy", 1.0, "2013-01-02", Status.OPEN, Price(1, 1.0),
        Price(2, 1.0), None, {"1d": result},
    )  # fmt: skip


class Topic:
    """Two partitions; the newer record of a signal counts, and one was deleted."""

    unavailable = False

    def __init__(self, _servers: str, _client: str, topic: str) -> None:
        assert topic == "default.demo.performance"

    def partitions(self) -> list[int]:
        if Topic.unavailable:
            raise KafkaUnavailable("there is no topic default.demo.performance")
        return [0, 1]

    def range(self, partition: int) -> tuple[int, int]:
        return 0, 2 + partition

    def read(self, ranges: Mapping[int, tuple[int, int]], go_on: Callable[[], bool]) -> Iterator[Any]:
        assert ranges == {0: (0, 2), 1: (0, 3)}
        assert go_on()
        values = [record("a", None), record("b", -0.02), None, record("a", 0.05)]
        for one in values:
            value = None if one is None else encode_performance(one)
            yield Mock(value=lambda value=value: value)

    def close(self) -> None: ...


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(performance, "TopicReader", Topic)
    monkeypatch.setattr(Topic, "unavailable", False)
    return write(tmp_path / "demo.yaml", resource(performance={"horizons": ["1d"]}))


def test_a_table_of_the_newest_records(pipeline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["performance", "--config", str(pipeline)]) == 0
    heading, names, row = capsys.readouterr().out.splitlines()
    assert heading == "Returns net of 0.05% each way:"
    assert names.split()[:4] == ["RULE", "HORIZON", "N", "HITS"]
    assert row.split()[:4] == ["dip", "1d", "2", "50"]


def test_all_figures_as_json(pipeline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["performance", "--config", str(pipeline), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert sorted(one["id"] for one in report["signals"]) == ["a", "b"]
    assert report["aggregates"][0]["mean"] == pytest.approx(0.015)
    assert report["horizons"] == ["1d"]


def test_a_broker_that_does_not_answer_is_named(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Topic, "unavailable", True)
    assert main(["performance", "--config", str(pipeline)]) == 1
    assert capsys.readouterr().err == (
        "Kafka at localhost:9092: there is no topic default.demo.performance\n"
    )
