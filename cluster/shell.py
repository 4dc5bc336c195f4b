"""Run programs and wait for conditions, with errors that say which program, which exit code and why."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

_STDERR_TAIL = 2000  # characters of a failed program's stderr that an error quotes
# Colours and the like (ECMA-48): some programs end them on stderr and say what failed on stdout.
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5  # seconds between two looks at a condition


class CommandError(RuntimeError):
    """A program that failed, could not be started, or took too long; `stderr` holds all that it said."""

    def __init__(self, args: Sequence[str], reason: str, stderr: str = "") -> None:
        self.command = list(args)
        self.stderr = stderr
        tail = _plain(stderr)[-_STDERR_TAIL:]
        super().__init__(f"{shlex.join(self.command)}: {reason}" + (f"\n{tail}" if tail else ""))


class Terminated(KeyboardInterrupt):
    """SIGTERM: to be stopped as by Ctrl-C, which however a terminal sends to child processes too."""


def terminate(_number: int, _frame: object) -> NoReturn:
    """Handle SIGTERM: end with all that cleans up, instead of at once."""
    raise Terminated


def run(
    args: Sequence[str | Path],
    *,
    input: str | None = None,  # noqa: A002 - the same name as in subprocess.run
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return its output.

    `env` is added to this process's environment; `timeout` is in seconds. Raises `CommandError` where the
    program is missing or takes too long and, unless `check` is false, where its exit code is not zero.
    """
    words = [str(arg) for arg in args]
    try:
        done = subprocess.run(
            words,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            env=None if env is None else {**os.environ, **env},
            cwd=cwd,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except OSError as error:
        raise CommandError(words, f"cannot start: {error.strerror or error}") from error
    except subprocess.TimeoutExpired as error:
        said = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else error.stderr
        raise CommandError(words, f"still running after {timeout:g} s", said or "") from error
    if check and done.returncode != 0:
        raise CommandError(
            words, f"exit code {done.returncode}", done.stderr if _plain(done.stderr) else done.stdout
        )
    return done


def _plain(said: str) -> str:
    return _ESCAPES.sub("", said).strip()


def wait_until(condition: Callable[[], object], timeout: float, what: str) -> None:
    """Look at `condition` at growing intervals until it holds.

    Raises `TimeoutError` naming `what` after `timeout` seconds; an exception of the condition passes through.
    """
    end = time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while not condition():
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"{what}: not so after {timeout:g} s")
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)
