"""Debian packages: which are missing, and installing them without starting services."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from cluster.shell import CommandError, run

POLICY = Path("/usr/sbin/policy-rc.d")
_LOCK = Path("/run/stockpipeline-packages.lock")
_MARKER = "# Made by StockPipeline while it installs packages; to be removed."
_PATIENTLY = ("-o", "DPkg::Lock::Timeout=300")  # seconds: another apt may be at work, such as at boot
# Docker's own packages bring the programs in a package that conflicts with these of Debian.
CONTAINER_PACKAGES = frozenset({"containerd", "runc"})
_CONTAINER_PROGRAMS = ("containerd", "ctr", "runc")


def available() -> bool:
    """Whether this machine installs software with apt."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg-query") is not None


def missing(packages: Iterable[str]) -> list[str]:
    """Return those of `packages` that are not installed, in their order."""
    wanted = list(dict.fromkeys(packages))
    listed = run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *wanted], check=False
    )
    installed = {
        name for name, _, status in (line.partition(" ") for line in listed.stdout.splitlines())
        if status == "installed"
    }  # fmt: skip
    if all(shutil.which(program) for program in _CONTAINER_PROGRAMS):
        installed |= CONTAINER_PACKAGES
    return [package for package in wanted if package not in installed]


def install(packages: list[str]) -> None:
    """Install packages, without recommendations, without starting their services, and removing nothing.

    Raises `CommandError` with apt's reason, such as a conflict with what is installed.
    """
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", *_PATIENTLY, "update", "--quiet"], env=environment)
    command = [
        "apt-get", *_PATIENTLY, "install", "--yes", "--quiet", "--no-remove", "--no-install-recommends",
        *packages,
    ]  # fmt: skip
    with _services_stay_off():
        done = run(command, env=environment, check=False)
    if done.returncode != 0:
        raise CommandError(
            command,
            f"apt refuses (exit code {done.returncode}); nothing was removed. Install the packages by hand, "
            "or use a machine where they do not conflict with others",
            f"{done.stdout}\n{done.stderr}",
        )


@contextlib.contextmanager
def _services_stay_off(policy: Path = POLICY, lock: Path = _LOCK) -> Iterator[None]:
    """Keep package scripts from starting daemons: only the programs are wanted.

    A policy that the administrator put there is respected and left alone; one that a killed run of ours
    left behind is taken for ours again.
    """
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # else the first of two runs would remove the policy of both
        if policy.exists() and _MARKER not in policy.read_text(errors="replace"):
            yield
            return
        policy.write_text(f"#!/bin/sh\n{_MARKER}\nexit 101\n")
        policy.chmod(0o755)
        try:
            yield
        finally:
            policy.unlink(missing_ok=True)
