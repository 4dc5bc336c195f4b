from __future__ import annotations

import io
import re
import threading

import pytest

from cluster.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def without_times(text: str) -> list[str]:
    return re.sub(r"\d+\.\d s", "T", text).splitlines()


def test_steps_notes_and_nesting() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    with progress.step("outer"):
        progress.note("a detail\nof two lines")
        with progress.step("inner"):
            pass
    assert without_times(stream.getvalue()) == [
        "- outer ...",
        "  a detail",
        "  of two lines",
        "  - inner ...",
        "  ✓ inner  T",
        "✓ outer  T",
    ]


def test_a_failure_is_told_once_by_the_step_that_failed() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    with pytest.raises(ValueError, match="bad luck"), progress.step("outer"), progress.step("inner"):
        raise ValueError("bad luck")
    assert without_times(stream.getvalue())[-2:] == [
        "  ✗ inner  failed after T: bad luck",
        "✗ outer  failed after T",
    ]


def test_a_terminal_shows_what_runs() -> None:
    stream = Terminal()
    progress = Progress(stream)
    painted = threading.Event()
    write = stream.write

    def watch(text: str) -> int:
        if "… boil water" in text:
            painted.set()
        return write(text)

    stream.write = watch  # type: ignore[method-assign]
    with progress.step("boil water"):
        assert painted.wait(5), "the running step is shown before it ends"
    assert "✓ boil water" in stream.getvalue()


def test_steps_of_two_threads_have_their_own_depth() -> None:
    stream = io.StringIO()
    progress = Progress(stream)

    def build() -> None:
        with progress.step("background"):
            pass

    with progress.step("foreground"):
        thread = threading.Thread(target=build)
        thread.start()
        thread.join()
    assert "- background ..." in stream.getvalue().splitlines()
