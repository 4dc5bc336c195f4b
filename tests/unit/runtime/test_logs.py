"""One JSON object per line, whoever logs."""

import io
import json
import logging

import pytest
import structlog

from stockpipeline.runtime import logs
from tests.restored_logs import restored_logs

__all__ = ["restored_logs"]  # for every test here


def _lines(stream: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_own_and_foreign_loggers_write_the_same_form() -> None:
    stream = io.StringIO()
    logs.configure(stream, component="detector", pipeline="default/demo")
    structlog.get_logger().info("restored", partition=3)
    logging.getLogger("kafka").warning("connection %s", "lost")
    own, foreign = _lines(stream)
    assert (own["event"], own["partition"], own["level"]) == ("restored", 3, "info")
    assert (foreign["event"], foreign["logger"], foreign["level"]) == ("connection lost", "kafka", "warning")
    for line in (own, foreign):
        assert (line["component"], line["pipeline"]) == ("detector", "default/demo")
        assert line["time"].endswith("Z")


def test_an_exception_stays_on_one_line() -> None:
    stream = io.StringIO()
    logs.configure(stream)
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = _lines(stream)
    assert "ValueError: broken" in line["exception"]


def test_the_level_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKPIPELINE_LOG_LEVEL", "warning")
    stream = io.StringIO()
    logs.configure(stream)
    structlog.get_logger().info("not this")
    structlog.get_logger().warning("this")
    assert [line["event"] for line in _lines(stream)] == ["this"]
