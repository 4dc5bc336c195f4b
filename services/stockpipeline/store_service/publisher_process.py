"""The publisher as a process of its own, which works for each line that it reads and answers with a line.

It must not be the writer's process: whoever closes a file loses all of the process's locks on it, DuckDB's
among them. It ends when its standard input does, so also after a kill of its parent.
"""

import shutil
import sys
from pathlib import Path

import msgspec

from stockpipeline.store.collect import collect
from stockpipeline.store.deliveries import Deliveries, Delivery, Outcome, Refused
from stockpipeline.store.errors import StoreError
from stockpipeline.store.object_store import open_store
from stockpipeline.store.publish import Publisher
from stockpipeline.store.retention import Retention


class Task(msgspec.Struct, frozen=True):
    """One line of input: `publish`; `collect` what retention gives up; or `receive` a delivery of the batch.

    With `settled`, the outcome of the one before is told first.
    """

    name: str
    settled: Outcome | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One line of output: the report of what was done, or the kind of the error and its sentence."""

    task: str
    report: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None
    message: str = ""


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """How many deliveries wait, the first of them, and where its files are now.

    With `refused`, the first is one that cannot be loaded, and was told so.
    """

    waiting: int
    delivery: Delivery | None = None
    folder: str = ""
    refused: str = ""


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """What the process works on for all of its life; its one argument, as JSON."""

    master: str
    store: str
    writer: str
    retention: Retention


class Work:
    """Does the tasks."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._store = open_store(assignment.store)
        self._publisher = Publisher(self._store, Path(assignment.master), writer=assignment.writer)
        self._deliveries = Deliveries(self._store)

    def do(self, task: Task) -> msgspec.Struct:
        """Do a task; return its report."""
        match task.name:
            case "publish":
                return self._publisher.publish()
            case "collect":
                return collect(self._store, self._assignment.retention)
            case "receive":
                return self._receive(task.settled)
        raise ValueError(f"there is no task {task.name!r}")

    def _receive(self, settled: Outcome | None) -> Received:
        if settled is not None:
            self._deliveries.settle(settled)
        folder = Path(self._assignment.master).with_name("arriving")
        shutil.rmtree(folder, ignore_errors=True)
        waiting = self._deliveries.waiting()
        if not waiting:
            return Received(waiting=0)
        folder.mkdir(parents=True)
        try:
            delivery = self._deliveries.fetch(waiting[0], folder)
        except Refused as error:
            self._deliveries.refuse(waiting[0], str(error))
            return Received(waiting=len(waiting) - 1, refused=str(error))
        return Received(waiting=len(waiting), delivery=delivery, folder=str(folder))


def main(argument: str) -> None:
    """Work until standard input ends."""
    work = Work(msgspec.json.decode(argument, type=Assignment))
    for line in sys.stdin:
        task = msgspec.json.decode(line, type=Task)
        try:
            answer = Answer(task=task.name, report=msgspec.Raw(msgspec.json.encode(work.do(task))))
        except (StoreError, OSError) as error:
            answer = Answer(task=task.name, error=type(error).__name__, message=str(error))
        print(msgspec.json.encode(answer).decode(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
