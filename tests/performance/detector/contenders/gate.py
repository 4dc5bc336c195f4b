"""How contenders and the benchmark wait for each other: by files beside a gate."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

_LOOK_SECONDS = 0.005


@dataclass(frozen=True)
class Sign:
    """Something that has happened, or not yet."""

    path: Path

    def give(self) -> None:
        """It has happened."""
        self.path.touch()

    @property
    def given(self) -> bool:
        """Whether it has happened."""
        return self.path.exists()

    def wait(self) -> None:
        """Wait for it."""
        while not self.given:
            time.sleep(_LOOK_SECONDS)


@dataclass(frozen=True)
class Gate:
    """The signs of one run; `path` is that of no file."""

    path: str

    def here(self, contender: str) -> Sign:
        """The contender has its partitions, and waits for `open`."""
        return self._sign(f"{contender}.here")

    @property
    def open(self) -> Sign:
        """The work may begin."""
        return self._sign("open")

    def ready(self, contender: str) -> Sign:
        """The contender has done all that is to be done before its first message."""
        return self._sign(f"{contender}.ready")

    @property
    def all_ready(self) -> Sign:
        """All that share the work are ready."""
        return self._sign("all-ready")

    @property
    def over(self) -> Sign:
        """Nothing is left to do."""
        return self._sign("over")

    def _sign(self, name: str) -> Sign:
        return Sign(Path(f"{self.path}.{name}"))
