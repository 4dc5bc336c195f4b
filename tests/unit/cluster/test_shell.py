from __future__ import annotations

import time
from pathlib import Path

import pytest

from cluster.shell import CommandError, run, wait_until


def test_output_input_environment_and_folder(tmp_path: Path) -> None:
    done = run(["sh", "-c", "cat; echo $WORD; pwd"], input="in ", env={"WORD": "w"}, cwd=tmp_path)
    assert done.stdout == f"in w\n{tmp_path}\n"


def test_a_failure_names_the_command_the_code_and_the_end_of_stderr() -> None:
    with pytest.raises(CommandError) as error:
        run(["sh", "-c", "echo first >&2; yes | head -c 9000 >&2; echo last words >&2; exit 3"])
    text = str(error.value)
    assert "sh -c" in text
    assert "exit code 3" in text
    assert text.endswith("last words")
    assert "first" not in text[200:]


def test_a_failure_may_be_asked_for() -> None:
    assert run(["false"], check=False).returncode == 1


def test_a_missing_program_and_a_slow_one() -> None:
    with pytest.raises(CommandError, match=r"no-such-program.*cannot start"):
        run(["no-such-program"])
    with pytest.raises(CommandError, match=r"still running after 0\.1 s"):
        run(["sleep", "10"], timeout=0.1)


def test_waiting_ends_with_the_condition_or_says_what_did_not_come() -> None:
    looks: list[float] = []

    def third_time() -> bool:
        looks.append(time.monotonic())
        return len(looks) == 3

    wait_until(third_time, 10, "the third look")
    assert len(looks) == 3
    with pytest.raises(TimeoutError, match=r"the sky is green: not so after 0\.05 s"):
        wait_until(lambda: False, 0.05, "the sky is green")


def test_an_error_quotes_stdout_where_stderr_has_nothing_but_colours() -> None:
    script = r"echo 'no such plugin'; printf '\033[0m\n' >&2; exit 1"
    with pytest.raises(CommandError, match=r"exit code 1\nno such plugin$"):
        run(["sh", "-c", script])
