"""One child process of a test: started with a log file, awaited, stopped by its pid."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class ServerError(RuntimeError):
    """A server did not come up, or ended by itself."""


def _die_with_parent() -> None:
    """Have the kernel kill this child when the test run is killed and cannot clean up."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class ServerProcess:
    """A program that serves until it is stopped.

    `ready` is called until it returns true; it may raise OSError while nothing
    listens yet.
    """

    def __init__(self, arguments: Sequence[str], log: Path, ready: Callable[[], bool]) -> None:
        self.arguments = list(arguments)
        self.log = log
        self._ready = ready
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The running child's process id."""
        if self._child is None:
            raise ServerError(f"{self.arguments[0]} is not running")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the program runs; one that ended by itself can be started again."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        return self._child is not None

    def start(self, timeout: float = 180) -> None:
        """Start the program and wait until it serves; at most `timeout` seconds."""
        if self._child is not None:
            raise ServerError(f"{self.arguments[0]} runs already, as pid {self._child.pid}")
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=_die_with_parent,
            )
        deadline = time.monotonic() + timeout
        while not self._is_ready():
            if self._child.poll() is not None:
                status, self._child = self._child.returncode, None
                raise ServerError(f"{self.arguments[0]} ended with {status}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(f"{self.arguments[0]} does not serve after {timeout} s:\n{self.log_tail()}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            return self._ready()
        except OSError:
            return False

    def log_tail(self, lines: int = 30) -> str:
        """Return the last lines of what the program printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def kill(self) -> None:
        """End the program at once, as a crash would (SIGKILL)."""
        self._end(signal.SIGKILL, timeout=10)

    def freeze(self) -> None:
        """Stop the program without ending it (SIGSTOP), as a paused virtual machine would."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen program go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def wait(self, timeout: float) -> int:
        """Wait until the program has ended by itself; return its exit code."""
        if self._child is None:
            raise ServerError(f"{self.arguments[0]} is not running")
        code = self._child.wait(timeout)
        self._child = None
        return code

    def stop(self, timeout: float = 20) -> None:
        """Ask the program to end (SIGTERM); kill it after `timeout` seconds."""
        try:
            self._end(signal.SIGTERM, timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def _end(self, how: signal.Signals, timeout: float) -> None:
        if self._child is None:
            return
        self._child.send_signal(how)
        self._child.wait(timeout)
        self._child = None
