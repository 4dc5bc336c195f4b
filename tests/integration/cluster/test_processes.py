"""Programs that outlive whoever started them: found again, replaced, stopped for certain."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.embedded.locked import locked
from cluster.embedded.pki import Authority, token_key
from cluster.embedded.processes import Processes, Program
from cluster.settings import REPO
from cluster.shell import CommandError, run, wait_until
from tests.ports import free_port


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(tmp_path / "run", tmp_path / "logs")
    yield processes
    processes.stop(*processes.names(), grace=0)


def test_a_running_program_is_started_once_and_found_by_others(processes: Processes, tmp_path: Path) -> None:
    program = Program("sleeper", ["sleep", "600"])
    assert processes.start(program)
    pid = processes.pid("sleeper")
    assert not processes.start(program)
    other = Processes(tmp_path / "run", tmp_path / "logs")
    assert other.pid("sleeper") == pid
    assert other.names() == ["sleeper"]
    assert os.getsid(pid or 0) == pid, "it outlives the terminal that it was started from"


def test_a_changed_program_replaces_the_running_one(processes: Processes) -> None:
    processes.start(Program("sleeper", ["sleep", "600"]))
    first = processes.pid("sleeper")
    assert processes.start(Program("sleeper", ["sleep", "601"]))
    assert processes.start(Program("sleeper", ["sleep", "601"], depends=["new configuration"]))
    assert processes.pid("sleeper") not in (None, first)
    wait_until(lambda: not Path(f"/proc/{first}").exists(), 5, "the first one is gone")


def test_a_pid_that_another_process_has_got_is_never_killed(processes: Processes, tmp_path: Path) -> None:
    processes.start(Program("sleeper", ["sleep", "600"]))
    processes.start(Program("bystander", ["sleep", "600"]))
    bystander = processes.pid("bystander")
    assert bystander is not None
    # As if the sleeper had died and its pid had come around: same pid in the file, another start time.
    file = tmp_path / "run" / "sleeper.pid"
    fields = (tmp_path / "run" / "bystander.pid").read_text().split()
    fields[21] = str(int(fields[21]) - 1)
    sleeper = processes.pid("sleeper")
    file.write_text(" ".join(fields))
    assert not processes.alive("sleeper")
    processes.stop("sleeper")
    assert processes.pid("bystander") == bystander
    os.kill(sleeper or 0, signal.SIGKILL)


def test_programs_of_a_node_use_no_proxy(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "HTTPS_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "http://proxy.example:3128")
    processes.start(Program("printer", ["sh", "-c", "env; echo end"]))
    wait_until(lambda: "end" in processes.log("printer").read_text(), 5, "it has printed its environment")
    assert "proxy.example" not in processes.log("printer").read_text()


def test_what_ignores_the_request_to_end_is_killed(processes: Processes) -> None:
    script = 'trap "" TERM; echo ready; while :; do sleep 0.1; done'
    processes.start(Program("stubborn", ["sh", "-c", script]))
    wait_until(lambda: "ready" in processes.log("stubborn").read_text(), 5, "it ignores the request")
    began = time.monotonic()
    processes.stop("stubborn", grace=0.3)
    assert time.monotonic() - began > 0.25
    assert not processes.alive("stubborn")
    assert processes.names() == []


def test_a_program_that_ends_is_reported_with_its_last_words(processes: Processes) -> None:
    program = Program("short", ["sh", "-c", "echo out of luck; exit 3"], ready=lambda: False)
    with pytest.raises(RuntimeError, match=r"short has ended(.|\n)*out of luck"):
        processes.ensure(program)


def test_a_program_that_does_not_come_to_serve_is_reported(processes: Processes) -> None:
    program = Program("slow", ["sleep", "600"], ready=lambda: False, timeout=0.2)
    with pytest.raises(RuntimeError, match=r"slow is not ready after 0\.2 s"):
        processes.ensure(program)


def test_a_missing_program_is_named(processes: Processes) -> None:
    with pytest.raises(CommandError, match=r"no-such-program: cannot start"):
        processes.start(Program("missing", ["no-such-program"]))


def test_a_program_serves_on_the_socket_that_it_is_given(processes: Processes) -> None:
    serve = (
        "import http.server, socket, sys; "
        "server = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler, False); "
        "server.socket = socket.socket(fileno=0); server.handle_request()"
    )
    port = free_port()
    processes.start(Program("server", ["python3", "-c", serve], listener=("127.0.0.1", port)))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("HEAD", "/")
    assert connection.getresponse().status == http.client.OK
    connection.close()


def test_a_port_that_is_taken_is_named(processes: Processes) -> None:
    port = free_port()
    processes.start(Program("first", ["sleep", "600"], listener=("127.0.0.1", port)))
    with pytest.raises(RuntimeError, match=rf"127\.0\.0\.1:{port} cannot be listened on"):
        processes.start(Program("second", ["sleep", "600"], listener=("127.0.0.1", port)))


def test_a_lock_is_gone_afterwards_and_free_after_an_error(tmp_path: Path) -> None:
    lock = tmp_path / "run" / "x.lock"

    def fail_inside() -> None:
        with locked(lock):
            assert lock.exists()
            raise ValueError("oops")

    with pytest.raises(ValueError, match="oops"):
        fail_inside()
    assert not lock.parent.exists()
    with locked(lock):
        pass


def test_who_has_to_wait_for_a_lock_says_so_once(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    code = (
        "import sys; from pathlib import Path; from cluster.embedded.locked import locked\n"
        "with locked(Path(sys.argv[1]), 'waiting'): print('got it')"
    )
    command = [sys.executable, "-c", code, str(lock)]
    assert run(command, cwd=REPO).stdout == "got it\n"
    with locked(lock):
        second = subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None
        assert second.stdout.readline() == "waiting\n"
    assert second.communicate(timeout=30)[0] == "got it\n"


def test_certificates_are_kept_and_signed_anew_when_asked_differently(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, "ca")
    first = authority.issue("server", "server", ["group"], ["localhost", "127.0.0.1"])
    before = first.certificate.read_bytes()
    assert authority.issue("server", "server", ["group"], ["localhost", "127.0.0.1"]) == first
    assert first.certificate.read_bytes() == before
    verify = ["openssl", "verify", "-CAfile", str(authority.own.certificate), "-verify_ip", "127.0.0.1"]
    assert run([*verify, first.certificate]).stdout.endswith(": OK\n")
    authority.issue("server", "server", ["group"], ["192.0.2.1"])
    assert first.certificate.read_bytes() != before
    assert run([*verify, first.certificate], check=False).returncode != 0
    authority.own.certificate.unlink()  # a new authority: what the old one signed is worth nothing
    replaced = first.certificate.read_bytes()
    Authority.open(tmp_path, "ca").issue("server", "server", ["group"], ["192.0.2.1"])
    assert first.certificate.read_bytes() != replaced


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    keys = [Authority.open(folder, "ca").own.key, token_key(folder).key]
    assert [key.stat().st_mode & 0o077 for key in keys] == [0, 0]
