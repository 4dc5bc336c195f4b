"""Show each step of a longer work with its time while it works.

On a terminal, one live line at the bottom tells the running step and its elapsed time; elsewhere a step
prints one line when it starts and one when it ends. Steps may be nested and may run in several threads.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

_REFRESH = 0.2  # seconds between two updates of the live line


@dataclass(eq=False)
class _Step:
    title: str
    depth: int
    started: float


class Progress:
    """Prints steps to a stream (default: standard output)."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._live = self._stream.isatty()
        self._lock = threading.Lock()
        self._running: list[_Step] = []
        self._mine = threading.local()  # the depth of nesting, per thread
        self._painter: threading.Thread | None = None
        self._reported: BaseException | None = None

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show `title` as running while the block runs, then how long it took or that it failed."""
        depth: int = getattr(self._mine, "depth", 0)
        step = _Step(title, depth, time.monotonic())
        self._mine.depth = depth + 1
        with self._lock:
            self._running.append(step)
            if not self._live:
                self._print(f"{'  ' * depth}- {title} ...")
            elif self._painter is None:
                self._painter = threading.Thread(target=self._paint, daemon=True)
                self._painter.start()
        try:
            yield
        except BaseException as error:
            self._finish(step, error)
            raise
        else:
            self._finish(step, None)
        finally:
            self._mine.depth = depth

    def note(self, text: str) -> None:
        """Print a detail below the step that runs in this thread."""
        indent = "  " * getattr(self._mine, "depth", 0)
        with self._lock:
            for line in text.splitlines():
                self._print(f"{indent}{line}")

    def _finish(self, step: _Step, error: BaseException | None) -> None:
        took = f"{time.monotonic() - step.started:.1f} s"
        indent = "  " * step.depth
        with self._lock:
            self._running.remove(step)
            if error is None:
                self._print(f"{indent}✓ {step.title}  {took}")
            elif isinstance(error, KeyboardInterrupt):
                self._print(f"{indent}✗ {step.title}  stopped after {took}")
            else:
                # The innermost step tells the reason; the steps around it need only say that they failed.
                reason = "" if self._reported is error else f": {str(error) or type(error).__name__}"
                self._reported = error
                self._print(f"{indent}✗ {step.title}  failed after {took}{reason}")

    def _print(self, line: str) -> None:
        """Print a lasting line (above the live one); the lock is held."""
        if self._live:
            self._stream.write("\r\x1b[K")
        self._stream.write(line + "\n")
        self._stream.flush()

    def _paint(self) -> None:
        while True:
            with self._lock:
                if not self._running:
                    self._stream.write("\r\x1b[K")
                    self._stream.flush()
                    self._painter = None
                    return
                now = time.monotonic()
                shown = "  ".join(f"… {step.title} {now - step.started:.0f} s" for step in self._running[-3:])
                self._stream.write(f"\r\x1b[K{shown[: shutil.get_terminal_size().columns - 1]}")
                self._stream.flush()
            time.sleep(_REFRESH)
