"""What every contender is told, what it tells, and the rules that the other ways of doing it share."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Job:
    """A job: read `ticks` messages of `topic` and do with them what the contender does."""

    kafka: str
    topic: str
    output: str
    group: str
    ticks: int
    history: str = ""
    """A JSON file: symbol → closed daily bars, each [open, high, low, close, volume], oldest first."""
    gate: str = ""
    """The path of the run's ``Gate``."""
    config: str = ""
    """A pipeline.json, for the detector."""
    share: int = 0
    shares: int = 1
    """How many processes share the partitions, and which of them this one is; the detector asks the group."""
    stop_after: float = 600.0
    """Seconds after which to give up."""

    @classmethod
    def from_arguments(cls) -> Job:
        """The job that the command line names."""
        parser = argparse.ArgumentParser()
        parser.add_argument("--job", type=Path, required=True)
        return cls(**json.loads(parser.parse_args().job.read_text()))

    def write(self, path: Path) -> None:
        """Write the job for a contender."""
        path.write_text(json.dumps(asdict(self)))

    def closes(self) -> dict[str, list[float]]:
        """The closed bars' prices of each symbol."""
        return {
            symbol: [bar[3] for bar in bars]
            for symbol, bars in json.loads(Path(self.history).read_text()).items()
        }


@dataclass
class Watch:
    """The time from the first message to the last."""

    first: float = 0.0
    last: float = 0.0
    cpu: float = 0.0
    """Seconds of processors that the process took meanwhile, on all of its threads."""
    ticks: int = 0
    signals: int = 0
    extra: dict[str, Any] = field(default_factory=dict)
    _cpu_before: float = 0.0

    def began(self) -> None:
        """The first message is there."""
        if not self.first:
            self.first, self._cpu_before = time.time(), time.process_time()

    def ended(self) -> None:
        """The last message is done."""
        self.last, self.cpu = time.time(), time.process_time() - self._cpu_before

    def report(self) -> None:
        """Print the result."""
        if not self.last:
            self.ended()
        print(json.dumps(asdict(self)), flush=True)


class Latches:
    """Five rules on RSI, MACD and Bollinger bands for one symbol, each once until it was false again."""

    def __init__(self) -> None:
        self._fired = [False] * 5

    def fire(
        self, price: float, rsi: float, histogram: float, before: float, upper: float, lower: float
    ) -> int:
        """Return how many rules fire."""
        holds = (rsi < 30, rsi > 70, price <= lower, price >= upper, before <= 0 < histogram)
        count = 0
        for number, held in enumerate(holds):
            if held and not self._fired[number]:
                count += 1
            self._fired[number] = held
        return count
