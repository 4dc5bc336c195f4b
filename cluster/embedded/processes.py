"""Start long-running programs that outlive this process, find them again, and stop them for certain.

A program's pid file is written by the program's own process before it becomes the program, and holds its
line of /proc/PID/stat: so no crash of ours leaves a program that nobody knows of, and a pid that was
given to another process since then is never taken for ours.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cluster.shell import CommandError

_GRACE = 10.0  # seconds between SIGTERM and SIGKILL
_GRACE_OF_HUNG = 1.0  # the same, for a program that does not answer anyway
_KILLED = 10.0  # seconds that the kernel may take to end a killed process
_PATIENCE = 10.0  # seconds that a program which ran before may take to answer
_LOG_TAIL = 1500  # characters of a log that an error quotes
_LOG_LIMIT = 8 << 20  # bytes; a longer log is set aside when its program starts again
# $1 the pid file, $2 the log, $3 a cgroup.procs to join or empty, then the command. `$$` stays the same
# through every exec.
_BECOME = (
    'read -r line </proc/$$/stat && printf "%s\\n" "$line" >"$1.new" && mv "$1.new" "$1" || exit 1; '
    '[ -z "$3" ] || echo $$ >"$3" || exit 1; '
    # Containers inherit containerd's limit of open files, which a login shell keeps low. Not without any
    # limit: some programs make a table of that size.
    'files=$(ulimit -H -n); [ "$files" -le 1048576 ] 2>/dev/null || files=1048576; ulimit -n "$files"; '
    'exec >>"$2" 2>&1; shift 3; exec "$@"'
)


@dataclass(frozen=True)
class Program:
    """A program to be kept running.

    `namespace` is the file of the network namespace that it runs in (None: this process's own);
    `depends` names what else it must be started anew for, such as the content of its configuration;
    `ready` tells whether it serves; `listener` is the host and port of a listening socket that is made in
    this process's namespace and that the program gets as its standard input.
    """

    name: str
    command: Sequence[str]
    ready: Callable[[], bool] = field(default=lambda: True)
    namespace: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    depends: Sequence[str] = ()
    listener: tuple[str, int] | None = None
    timeout: float = 60.0

    @property
    def fingerprint(self) -> str:
        """A digest of all that makes a running instance the wanted one."""
        namespace = "" if self.namespace is None else str(self.namespace.stat().st_ino)
        parts = [list(self.command), namespace, dict(self.environment), list(self.depends), self.listener]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Processes:
    """The programs of one cluster: pid files in `run`, logs in `logs`, all in one control group.

    `members` is the cgroup.procs file of that group; None leaves them in this process's own.
    """

    def __init__(self, run: Path, logs: Path, members: Path | None = None) -> None:
        self._run = run
        self._logs = logs
        self._members = members

    def log(self, name: str) -> Path:
        """Return the file that the program's output goes to."""
        return self._logs / f"{name}.log"

    def start(self, program: Program) -> bool:
        """Start the program unless it runs as wanted; tell whether it was started."""
        fingerprint = program.fingerprint
        if self.alive(program.name) and self._fingerprint(program.name) == fingerprint:
            return False
        self.stop(program.name)
        self._run.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self.log(program.name)
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.old"))
        self._fingerprint_file(program.name).write_text(fingerprint)
        # nsenter, not `ip netns exec`: that one mounts /sys anew, which hides the cgroups from runc.
        enter = [] if program.namespace is None else ["nsenter", f"--net={program.namespace}"]
        command = [*enter, *program.command]
        if shutil.which(command[0]) is None:
            raise CommandError(command, "cannot start: no such program")
        pid_file, members = str(self._pid_file(program.name)), str(self._members or "")
        with _standard_input(program.listener) as standard_input:
            # setsid --fork ends at once: the program becomes a child of init, in a session of its own.
            started = subprocess.run(
                [
                    "setsid",
                    "--fork",
                    "sh",
                    "-c",
                    _BECOME,
                    program.name,
                    pid_file,
                    str(log),
                    members,
                    *command,
                ],
                env={**_without_proxies(os.environ), **program.environment},
                stdin=standard_input,
                capture_output=True,  # ends when the output goes to the log: the pid is known by then
                text=True,
                check=False,
            )
        if started.returncode != 0 or not self._pid_file(program.name).exists():
            raise CommandError(command, "cannot start", started.stderr)
        return True

    def ensure(self, *programs: Program) -> set[str]:
        """Start those that do not run as wanted, all at once, and wait until all serve.

        Returns the names of those that were started; raises as `wait` does.
        """
        started = {program.name for program in programs if self.start(program)}
        return self.wait(programs, started)

    def wait(self, programs: Sequence[Program], started: Collection[str]) -> set[str]:
        """Wait until all serve; `started` names those that were started just now.

        One that ran before and yet does not serve soon is started anew. Returns the names of all that were
        started; raises `RuntimeError` with the end of the log of one that does not come to serve.
        """
        names = set(started)
        for program in programs:
            if program.name not in names and not self._becomes_ready(program, _PATIENCE):
                self.stop(program.name, grace=_GRACE_OF_HUNG)
                self.start(program)
                names.add(program.name)
        for program in programs:
            if not self._becomes_ready(program, program.timeout):
                how = f"is not ready after {program.timeout:g} s" if self.alive(program.name) else "has ended"
                raise RuntimeError(f"{program.name} {how}; {self._end_of_log(program.name)}")
        return names

    def _becomes_ready(self, program: Program, timeout: float) -> bool:
        end = time.monotonic() + timeout
        while not program.ready():
            if time.monotonic() > end or not self.alive(program.name):
                return False
            time.sleep(0.05)
        return True

    def alive(self, name: str) -> bool:
        """Tell whether the program's process of the pid file still runs."""
        return self._handle(name, close=True) is not None

    def pid(self, name: str) -> int | None:
        """Return the pid of the running program, else None."""
        recorded = self._recorded(name)
        return recorded[0] if recorded is not None and self.alive(name) else None

    def names(self) -> list[str]:
        """Return the names of all programs that were started and not stopped."""
        return sorted(file.stem for file in self._run.glob("*.pid"))

    def stop(self, *names: str, grace: float = _GRACE) -> None:
        """Ask the programs to end, all at once, and kill those that do not within `grace` seconds.

        With a grace of 0, where nothing of theirs is to be kept, they are killed at once.
        """
        handles = {name: handle for name in names if (handle := self._handle(name)) is not None}
        try:
            asked = [(signal.SIGTERM, grace)] if grace else []
            for number, patience in [*asked, (signal.SIGKILL, _KILLED)]:
                for handle in handles.values():
                    _send(handle, number)
                end = time.monotonic() + patience
                waiting = dict(handles)
                while waiting and time.monotonic() < end:
                    ended, _, _ = select.select(
                        list(waiting.values()), [], [], max(0, end - time.monotonic())
                    )
                    waiting = {name: handle for name, handle in waiting.items() if handle not in ended}
                if not waiting:
                    break
            else:
                raise RuntimeError(f"{', '.join(sorted(waiting))}: still there after SIGKILL")
        finally:
            for handle in handles.values():
                os.close(handle)
        for name in names:
            self._pid_file(name).unlink(missing_ok=True)
            self._fingerprint_file(name).unlink(missing_ok=True)

    def _handle(self, name: str, *, close: bool = False) -> int | None:
        """Return a pidfd of the running program (closed again where `close`), else None."""
        recorded = self._recorded(name)
        if recorded is None:
            return None
        pid, started = recorded
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        # The pidfd holds the pid: what /proc says from here on is of this very process.
        now = _stat(Path(f"/proc/{pid}/stat"))
        if now is None or now[1] != started:
            os.close(handle)
            return None
        if close:
            os.close(handle)
        return handle

    def _recorded(self, name: str) -> tuple[int, str] | None:
        return _stat(self._pid_file(name))

    def _pid_file(self, name: str) -> Path:
        return self._run / f"{name}.pid"

    def _fingerprint_file(self, name: str) -> Path:
        return self._run / f"{name}.fingerprint"

    def _fingerprint(self, name: str) -> str | None:
        try:
            return self._fingerprint_file(name).read_text()
        except FileNotFoundError:
            return None

    def _end_of_log(self, name: str) -> str:
        log = self.log(name)
        text = log.read_text(errors="replace")[-_LOG_TAIL:] if log.exists() else ""
        return f"the end of {log}:\n{text.strip()}"


def _without_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out `http_proxy` and the like, in either case: the node's programs call each other alone."""
    return {key: value for key, value in environment.items() if not key.lower().endswith("_proxy")}


def _stat(file: Path) -> tuple[int, str] | None:
    """Return (pid, start time in clock ticks since boot) of a line of /proc/PID/stat; None for a zombie."""
    try:
        line = file.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    head, _, tail = line.rpartition(")")  # the program's name may hold spaces and brackets
    fields = tail.split()
    if not head or len(fields) < 20 or fields[0] in ("Z", "X"):
        return None
    return int(head.split(" ", 1)[0]), fields[19]


def _send(handle: int, number: signal.Signals) -> None:
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return


@contextmanager
def _standard_input(listener: tuple[str, int] | None) -> Iterator[int]:
    """Yield what a program gets as its standard input: a listening socket, or nothing to read."""
    if listener is None:
        yield subprocess.DEVNULL
        return
    with socket.socket() as accepting:
        accepting.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            accepting.bind(listener)
        except OSError as error:
            raise RuntimeError(
                f"{listener[0]}:{listener[1]} cannot be listened on: {error.strerror}; "
                f"`ss -ltnp sport = {listener[1]}` tells which program has it"
            ) from error
        accepting.listen(128)
        yield accepting.fileno()
