"""Settings from the environment."""

from collections.abc import Callable

import pytest

from stockpipeline.runtime.settings import BadSetting, grace_seconds, http_address, instance_name, log_level


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOG_LEVEL", "HTTP_ADDRESS", "INSTANCE", "GRACE_SECONDS"):
        monkeypatch.delenv(f"STOCKPIPELINE_{name}", raising=False)


def test_defaults_suit_a_container() -> None:
    assert (log_level(), http_address(), grace_seconds()) == ("info", ("0.0.0.0", 8080), 20.0)
    assert instance_name()


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKPIPELINE_LOG_LEVEL", "WARNING")
    monkeypatch.setenv("STOCKPIPELINE_HTTP_ADDRESS", "[::1]:0")
    monkeypatch.setenv("STOCKPIPELINE_INSTANCE", "demo-detector-1")
    monkeypatch.setenv("STOCKPIPELINE_GRACE_SECONDS", "2.5")
    assert (log_level(), http_address(), grace_seconds()) == ("warning", ("[::1]", 0), 2.5)
    assert instance_name() == "demo-detector-1"


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("LOG_LEVEL", "loud", log_level),
        ("HTTP_ADDRESS", "8080", http_address),
        ("HTTP_ADDRESS", "host:", http_address),
        ("HTTP_ADDRESS", "host:http", http_address),
        ("HTTP_ADDRESS", "host:70000", http_address),
        ("GRACE_SECONDS", "soon", grace_seconds),
        ("GRACE_SECONDS", "-1", grace_seconds),
        ("GRACE_SECONDS", "nan", grace_seconds),
    ],
)
def test_a_bad_value_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, read: Callable[[], object]
) -> None:
    monkeypatch.setenv(f"STOCKPIPELINE_{name}", value)
    with pytest.raises(BadSetting, match=f"STOCKPIPELINE_{name}: '{value}'"):
        read()
