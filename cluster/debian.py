"""Debian packages: which are missing, and installing them without starting services."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from cluster.shell import run

POLICY = Path("/usr/sbin/policy-rc.d")


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
    return [package for package in wanted if package not in installed]


def install(packages: list[str]) -> None:
    """Install packages, without recommendations and without starting their services."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "--quiet"], env=environment)
    with _services_stay_off():
        run(
            ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages],
            env=environment,
        )


@contextlib.contextmanager
def _services_stay_off() -> Iterator[None]:
    """Keep package scripts from starting daemons: only the programs are wanted.

    A policy that the administrator put there is respected and left alone.
    """
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
