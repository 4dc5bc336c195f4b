"""The publisher's process as its parent sees it: answers, errors, and its death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from stockpipeline.store.retention import Retention
from stockpipeline.store_service.publisher import PublisherProcess
from stockpipeline.store_service.publisher_process import Answer, Assignment, Task
from tests.integration.store.masters import commit_day


def process(folder: Path) -> PublisherProcess:
    """A publisher of a master that is not there."""
    return PublisherProcess(
        Assignment(
            master=str(folder / "master.duckdb"),
            store=f"file://{folder}/store",
            writer="test",
            retention=Retention(),
        )
    )


def answered(publishing: PublisherProcess) -> Answer:
    """Wait for the answer."""
    deadline = time.monotonic() + 60
    while (answer := publishing.answer()) is None:
        assert time.monotonic() < deadline, "no answer"
        time.sleep(0.02)
    return answer


_WORK = """
import sys
from pathlib import Path
from stockpipeline.store.retention import Retention
from stockpipeline.store_service.publisher_process import Assignment, Task, Work

folder = Path(sys.argv[1])
master, url = str(folder / "master.duckdb"), f"file://{folder}/store"
work = Work(Assignment(master=master, store=url, writer="test", retention=Retention()))
for name in ("publish", "publish", "collect", "receive"):
    work.do(Task(name))
print([name for name in ("numpy", "pandas", "pyarrow") if name in sys.modules])
"""


def test_it_needs_no_large_packages_for_what_it_does_all_the_time(tmp_path: Path) -> None:
    commit_day(tmp_path / "master.duckdb", 1)
    done = subprocess.run(
        [sys.executable, "-c", _WORK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]", "with them it has 90 MiB more; query parameters of DuckDB import them"


def test_what_fails_is_an_answer_and_the_process_goes_on(tmp_path: Path) -> None:
    publishing = process(tmp_path)
    assert publishing.answer() is None
    for task, error in (("publish", "MasterUnusable"), ("collect", "NothingPublished")):
        publishing.ask(Task(task))
        assert publishing.busy
        answer = answered(publishing)
        assert (answer.task, answer.error) == (task, error)
        assert str(tmp_path) in answer.message
        assert not publishing.busy
    publishing.close(20)


def test_a_process_that_died_is_told_and_started_again(tmp_path: Path) -> None:
    publishing = process(tmp_path)
    publishing.ask(Task("publish"))
    answered(publishing)
    assert publishing._process is not None
    os.kill(publishing._process.pid, signal.SIGKILL)
    publishing._process.wait()
    publishing.ask(Task("publish"))
    answer = answered(publishing)
    assert (answer.error, publishing.busy) == ("PublisherDied", False)
    publishing.ask(Task("publish"))
    assert answered(publishing).error == "MasterUnusable"
    publishing.close(20)
