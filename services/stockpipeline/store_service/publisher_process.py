"""The publisher as a process of its own, which works for each line that it reads and answers with a line.

It must not be the writer's process: whoever closes a file loses all of the process's locks on it, DuckDB's
among them. It ends when its standard input does, so also after a kill of its parent.
"""

import sys
from pathlib import Path

import msgspec

from stockpipeline.store.collect import collect
from stockpipeline.store.errors import StoreError
from stockpipeline.store.object_store import open_store
from stockpipeline.store.publish import Publisher
from stockpipeline.store.retention import Retention


class Task(msgspec.Struct, frozen=True):
    """One line of input: `publish`, or `collect` what retention gives up."""

    name: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One line of output: the report of what was done, or the kind of the error and its sentence."""

    task: str
    report: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None
    message: str = ""


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """What the process works on for all of its life; its one argument, as JSON."""

    master: str
    store: str
    writer: str
    retention: Retention


def main(argument: str) -> None:
    """Work until standard input ends."""
    assignment = msgspec.json.decode(argument, type=Assignment)
    store = open_store(assignment.store)
    publisher = Publisher(store, Path(assignment.master), writer=assignment.writer)
    for line in sys.stdin:
        task = msgspec.json.decode(line, type=Task)
        try:
            report = publisher.publish() if task.name == "publish" else collect(store, assignment.retention)
            answer = Answer(task=task.name, report=msgspec.Raw(msgspec.json.encode(report)))
        except (StoreError, OSError) as error:
            answer = Answer(task=task.name, error=type(error).__name__, message=str(error))
        print(msgspec.json.encode(answer).decode(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
