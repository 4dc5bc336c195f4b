"""What goes wrong is told in a sentence and an exit code, without a traceback."""

from __future__ import annotations

import argparse

import pytest

from cluster import __main__ as command
from cluster.settings import SettingsError
from cluster.shell import CommandError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandError(["tool"], "exit code 1"), 1),
        (RuntimeError("oh no"), 1),
        (TimeoutError("not so after 1 s"), 1),
        (FileNotFoundError(2, "No such file", "x"), 1),
        (ValueError("holds no image"), 1),
        (SettingsError("CLUSTER_NAME='X'"), 2),
    ],
)
def test_errors_are_told_by_their_message(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_chosen: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(command, "_run", fail)
    assert command.main(["status"]) == code
    assert str(error) in capsys.readouterr().err
