"""The parent's side of the publisher's process: ask, go on with other things, and look for the answer."""

import os
import subprocess
import sys
from contextlib import suppress
from typing import Protocol

import msgspec

from stockpipeline.store_service.publisher_process import Answer, Assignment, Task

_MODULE = "stockpipeline.store_service.publisher_process"


class Publishing(Protocol):
    """Who publishes. While it is busy, the writer must leave the master closed."""

    @property
    def busy(self) -> bool:
        """Whether a task is under way."""

    def ask(self, task: Task) -> None:
        """Begin a task; not while busy."""

    def answer(self) -> Answer | None:
        """Return the answer to the task if there is one by now."""

    def close(self, seconds: float) -> None:
        """Let the task under way end within so many seconds, then end."""


class PublisherProcess:
    """Starts the process when it is first needed, and again if it has died."""

    def __init__(self, assignment: Assignment) -> None:
        self._command = [sys.executable, "-m", _MODULE, msgspec.json.encode(assignment).decode()]
        self._process: subprocess.Popen[bytes] | None = None
        self._task: str | None = None
        self._received = b""

    @property
    def busy(self) -> bool:
        """Whether a task is under way."""
        return self._task is not None

    def ask(self, task: Task) -> None:
        """Begin a task."""
        process = self._process
        if process is None:
            process = self._process = subprocess.Popen(
                self._command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert process.stdout is not None
            os.set_blocking(process.stdout.fileno(), False)
        self._task = task.name
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it died: `answer` finds the end of its output
            process.stdin.write(msgspec.json.encode(task) + b"\n")

    def answer(self) -> Answer | None:
        """Return the answer if there is one by now; also that of a process that died over the task."""
        if self._task is None or self._process is None:
            return None
        assert self._process.stdout is not None
        try:
            data = os.read(self._process.stdout.fileno(), 1 << 16)
        except BlockingIOError:
            return None
        if not data:
            return self._died(self._task)
        self._received += data
        line, newline, rest = self._received.partition(b"\n")
        if not newline:
            return None
        self._received, self._task = rest, None
        return msgspec.json.decode(line, type=Answer)

    def close(self, seconds: float) -> None:
        """Tell the process to end after what it does; kill it if that takes too long, which harms nothing."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        self._end(process)

    def _died(self, task: str) -> Answer:
        assert self._process is not None
        status = self._end(self._process)
        self._received, self._task = b"", None
        message = f"the publisher's process ended with status {status}; its own last words are in the log"
        return Answer(task=task, error="PublisherDied", message=message)

    def _end(self, process: "subprocess.Popen[bytes]") -> int:
        """Wait for the process, and let go of it; return its exit status."""
        with process:
            self._process = None
        return process.returncode
