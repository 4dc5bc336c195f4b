"""An orderly end, asked for by signals."""

import signal
import subprocess
import sys

from stockpipeline.runtime.shutdown import Shutdown

PROGRAM = """
import sys
from stockpipeline.runtime.shutdown import Shutdown
shutdown = Shutdown(10)
shutdown.install()
print("waiting", flush=True)
shutdown.wait(60)
print("draining", flush=True)
if sys.argv[1] == "hang":
    import time
    time.sleep(60)
"""


def test_the_grace_period_begins_when_the_end_is_asked_for() -> None:
    shutdown = Shutdown(grace_seconds=10)
    assert not shutdown.requested
    assert shutdown.remaining_seconds() == float("inf")
    shutdown.request()
    assert shutdown.wait(60)
    assert 9 < shutdown.remaining_seconds() <= 10


def _start(mode: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, mode], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    return process


def test_a_signal_wakes_the_loop_and_lets_it_drain() -> None:
    process = _start("end")
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[0] == "draining\n"
    assert process.returncode == 0


def test_a_second_signal_ends_the_process_at_once() -> None:
    process = _start("hang")
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == "draining\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM
