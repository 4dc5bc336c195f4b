"""Whether traces are made, and what they cost where they are not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stockpipeline.runtime import tracing
from stockpipeline.runtime.settings import BadSetting

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        ENDPOINT,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_SDK_DISABLED",
        "OTEL_TRACES_EXPORTER",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {ENDPOINT: ""},
        {ENDPOINT: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {ENDPOINT: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nobody_who_does_not_ask_for_traces_loads_anything(environment: dict[str, str]) -> None:
    program = (
        "import sys\n"
        "from stockpipeline.runtime import logs, tracing\n"
        "from stockpipeline.cli import import_detector\n"
        "import_detector()\n"
        "logs.configure(component='detector')\n"
        "tracing.configure('detector', 'test/demo')\n"
        "assert not tracing.enabled()\n"
        "assert tracing.begin('signal', '0' * 31 + '1', 0) is None\n"
        "with tracing.span('step'):\n"
        "    assert tracing.current_ids() == {}\n"
        "tracing.add('stored', '', 0, 1)\n"
        "tracing.close()\n"
        "loaded = {'opentelemetry', 'google.protobuf', 'requests'} & sys.modules.keys()\n"
        "sys.exit(f'loaded {loaded}' if loaded else 0)\n"
    )
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: 'zipkin'"),
        ({ENDPOINT: "http://x:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "'grpc'.*http/protobuf"),
    ],
)
def test_what_is_not_to_be_had_is_said(
    environment: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadSetting, match=words):
        tracing.configure("detector")


def test_all_who_know_a_night_know_its_trace() -> None:
    one = tracing.trace_id_of("batch", "desk", "nasdaq", "2026-11-20")
    assert one == tracing.trace_id_of("batch", "desk", "nasdaq", "2026-11-20")
    assert one != tracing.trace_id_of("batch", "desk", "nasdaq", "2026-11-23")
    assert len(bytes.fromhex(one)) == 16
