"""SIGKILL of each role at random moments and at every step, and whether anyone could read something wrong.

Run as `python -m tests.integration.store.kills ROLE --random N --seed N --steps --folder DIR`; prints one
JSON object. Children are forked from this process, which has everything imported, so a kill takes
milliseconds; they are real processes, killed by a real SIGKILL.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path

from stockpipeline.store.collect import collect
from stockpipeline.store.content import Content
from stockpipeline.store.file_store import FileStore
from stockpipeline.store.log import Log
from stockpipeline.store.manifest import log_key
from stockpipeline.store.publish import Publisher
from stockpipeline.store.pull import Puller
from stockpipeline.store.replica_folder import ReplicaFolder
from stockpipeline.store.restore import restore
from stockpipeline.store.retention import Retention
from stockpipeline.store.verify import verify_generations, verify_replica
from tests.integration.store.masters import commit_day, sums_of

_DAYS = 8
_FINISH_EVERY = 10
_ATTEMPTS = 10
_NOTHING_KEPT = Retention(hours=0, days=1, months=0, grace_seconds=0)
# Events of sys.audit that change something on disk; "open" only for writing.
_STEPS = {
    "os.rename",
    "os.remove",
    "os.link",
    "os.symlink",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "fcntl.flock",
}


class History:
    """A few days, prepared once: the master after each, and a store in which each is a generation."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "history-store"
        self.masters = [folder / f"history-{day}.duckdb" for day in range(1, _DAYS + 1)]
        # In a child, which imports much for it: the smaller this process is, the cheaper is a fork.
        if _ended(_fork(partial(self._make, folder / "history.duckdb"))[0]) != 0:
            raise RuntimeError("the days could not be published")
        self.sums = {day: sums_of(master) for day, master in enumerate(self.masters, start=1)}

    def _make(self, master: Path) -> None:
        for day, copy in enumerate(self.masters, start=1):
            commit_day(master, day)
            assert Publisher(FileStore(self.store), master, writer="kills").publish().generation == day
            shutil.copy(master, copy)

    def copy_store(self, target: Path, generations: int) -> None:
        """Make `target` the store as it was after so many generations."""
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.store, target, ignore=shutil.ignore_patterns("log"))
        (target / "log").mkdir()
        for number in range(1, generations + 1):
            self.reveal(target, number)

    def reveal(self, target: Path, number: int) -> None:
        """Make a generation HEAD of a copy."""
        shutil.copy(self.store / log_key(number), target / log_key(number))


class Role(ABC):
    """One role on one folder: what is killed, and what must hold after."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.history = History(folder)
        self.store = FileStore(folder / "store")
        self.bad: list[str] = []
        self.turn = 0

    def prepare(self) -> None:
        """Make work for the next child: day after day, and then from the start again."""
        self.day = self.turn % _DAYS + 1
        self.turn += 1

    @abstractmethod
    def work(self) -> None:
        """What the child does until it is killed."""

    @abstractmethod
    def check(self) -> None:
        """Note in `bad` whatever a reader could see that is wrong."""

    def finished(self) -> None:
        """Check what must hold after the work was done to its end."""
        self.check()


class Publish(Role):
    """The publisher: HEAD is always whole, and what it says is in the master."""

    def prepare(self) -> None:
        super().prepare()
        master = self.folder / "master.duckdb"
        if self.day == 1:
            shutil.rmtree(self.folder / "store", ignore_errors=True)
            master.with_name("master.duckdb.owner").unlink(missing_ok=True)
        shutil.copy(self.history.masters[self.day - 1], master)

    def work(self) -> None:
        Publisher(self.store, self.folder / "master.duckdb", writer="kills").publish()

    def check(self) -> None:
        generations = Log(self.store).generations()
        if generations:
            self.bad += verify_generations(self.store, generations[-1:]).problems

    def finished(self) -> None:
        self.check()
        out = self.folder / "out.duckdb"
        restore(self.store, out)
        if sums_of(out) != self.history.sums[self.day]:
            self.bad.append(f"day {self.day} was published as {sums_of(out)}")
        out.unlink()


class Pull(Role):
    """The puller: what readers open is always whole."""

    def prepare(self) -> None:
        super().prepare()
        if self.day == 1:
            shutil.rmtree(self.folder / "replica", ignore_errors=True)
            self.history.copy_store(self.folder / "store", 0)
        self.history.reveal(self.folder / "store", self.day)

    def work(self) -> None:
        Puller(self.store, self.folder / "replica").pull()

    def check(self) -> None:
        folder = ReplicaFolder(self.folder / "replica")
        current = folder.current()
        if current is None:
            return
        self.bad += verify_replica(folder).problems
        sums = sums_of(current.path)
        if sums != self.history.sums[current.manifest.generation]:
            self.bad.append(f"generation {current.manifest.generation} reads {sums}")

    def finished(self) -> None:
        self.check()
        current = ReplicaFolder(self.folder / "replica").current()
        if current is None or current.manifest.generation != self.day:
            self.bad.append(f"the replica is not at generation {self.day} after a whole pull")


class Swap(Pull):
    """The puller again, killed only while the new generation, verified by then, is named and swapped."""

    def work(self) -> None:
        puller = Puller(self.store, self.folder / "replica")
        build = puller.build

        def build_then_start(*arguments: object) -> object:
            moved = build(*arguments)  # type: ignore[arg-type]
            _start()
            return moved

        puller.build = build_then_start  # type: ignore[method-assign, assignment]
        puller.pull()


class Collect(Role):
    """Garbage collection: every generation that is listed can be restored, and HEAD stays."""

    done = True

    def prepare(self) -> None:
        super().prepare()
        # Not every time: kills of what goes on after a kill count as well.
        if self.done or self.day % 3 == 1:
            self.done = False
            self.history.copy_store(self.folder / "store", _DAYS)

    def work(self) -> None:
        collect(self.store, _NOTHING_KEPT)

    def check(self) -> None:
        generations = Log(self.store).generations()
        self.bad += verify_generations(self.store, generations).problems
        if not generations or generations[-1].generation != _DAYS:
            self.bad.append(f"HEAD is not generation {_DAYS}")

    def finished(self) -> None:
        self.done = True
        self.check()
        content = Content(self.store)
        (left,) = Log(self.store).generations()
        live = {str(ref) for ref in content.index(content.manifest(left.manifest))}
        blocks = {found.key.removeprefix("blocks/") for found in self.store.list("blocks/")}
        if blocks != live:
            self.bad.append(f"{len(blocks - live)} blocks stayed that nobody refers to")


class Restore(Role):
    """Restoring: the file is not there, or it is whole."""

    def prepare(self) -> None:
        super().prepare()
        if self.turn == 1:
            self.history.copy_store(self.folder / "store", _DAYS)
        (self.folder / "out.duckdb").unlink(missing_ok=True)

    def work(self) -> None:
        if not (self.folder / "out.duckdb").exists():  # a killed one may have come to its end
            restore(self.store, self.folder / "out.duckdb")

    def check(self) -> None:
        out = self.folder / "out.duckdb"
        if out.exists() and sums_of(out) != self.history.sums[_DAYS]:
            self.bad.append(f"restored {sums_of(out)}")

    def finished(self) -> None:
        if not (self.folder / "out.duckdb").exists():
            self.bad.append("nothing was restored")
        self.check()


ROLES: dict[str, type[Role]] = {
    "publish": Publish,
    "pull": Pull,
    "swap": Swap,
    "gc": Collect,
    "restore": Restore,
}

_started: int | None = None


def _start() -> None:
    """Tell the parent that the part to be killed begins."""
    if _started is not None:
        os.write(_started, b"!")


def _fork(work: Callable[[], None], *, at_step: int | None = None) -> tuple[int, int]:
    """Start a child that does the work; return its pid and a pipe that says when it begins."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write_end)
        return pid, read_end
    status = 1
    try:
        os.close(read_end)
        global _started
        _started = write_end
        if at_step is not None:
            _kill_before_step(at_step)
        work()
        status = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def _kill_before_step(step: int) -> None:
    """Have this process kill itself before its step number `step` that changes a disk, counted from 1."""
    left = [step]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        writes = (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if writes or event in _STEPS:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _ended(pid: int) -> int:
    """Wait for a child; return its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _run_to_end(role: Role) -> float:
    """Do the work in a child without killing it; return the seconds that the part to be killed takes."""
    pid, begins = _fork(role.work)
    if isinstance(role, Swap):
        os.read(begins, 1)
    started = time.monotonic()
    status = _ended(pid)
    took = time.monotonic() - started
    os.close(begins)
    if status != 0:
        role.bad.append(f"the work failed with exit status {status} after kills")
    role.finished()
    return took


def random_kills(role: Role, count: int, seed: int) -> int:
    """Kill the role at random moments until `count` kills came before its end; return how many did."""
    chance = random.Random(seed)
    role.prepare()
    takes = _run_to_end(role)
    hit = 0
    for number in range(_ATTEMPTS * count):
        if hit == count:
            break
        role.prepare()
        pid, begins = _fork(role.work)
        if isinstance(role, Swap):
            os.read(begins, 1)
        time.sleep(chance.uniform(0, takes))
        os.kill(pid, signal.SIGKILL)
        hit += _ended(pid) == -signal.SIGKILL
        os.close(begins)
        role.check()
        if number % _FINISH_EVERY == _FINISH_EVERY - 1:
            takes = max(0.5 * takes, _run_to_end(role))
    return hit


def kills_at_every_step(role: Role) -> int:
    """Kill the role before each of its steps that change something on disk; return how many there were."""
    step = 0
    while True:
        step += 1
        role.prepare()
        pid, begins = _fork(role.work, at_step=step)
        status = _ended(pid)
        os.close(begins)
        if status == 0:
            role.finished()
            return step - 1
        if status != -signal.SIGKILL:
            role.bad.append(f"step {step}: the work failed with exit status {status}")
        role.check()
        _run_to_end(role)


def killed_at_step(step: int, work: Callable[[], object]) -> int:
    """Do the work in a process that is killed before its step with that number; return its exit status."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            _kill_before_step(step)
            work()
            status = 0
        finally:
            os._exit(status)
    return _ended(pid)


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    role = ROLES[arguments.role](arguments.folder)
    hit = random_kills(role, arguments.random, arguments.seed) if arguments.random else 0
    steps = kills_at_every_step(role) if arguments.steps else 0
    print(json.dumps({"kills": hit, "steps": steps, "bad": role.bad}))


if __name__ == "__main__":
    main()
