"""A process that warms a detector up from a file of histories and prints the MiB it has taken at most.

The file has, for each symbol, the length of its series (uint32, little-endian) and the series.
"""

from __future__ import annotations

import resource
import struct
import sys
from pathlib import Path

from stockpipeline.api import DEFAULT_INDICATORS, DEFAULT_RULES
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.signals.detector import Detector


def main(path: Path) -> None:
    """Warm up."""
    detector = Detector("bench/warm", DEFAULT_INDICATORS, DEFAULT_RULES, SessionCalendar("XNAS"))
    with path.open("rb") as file:
        count = 0
        while header := file.read(4):
            (length,) = struct.unpack("<I", header)
            detector.warm_up(f"S{count:04d}", BarSeries.decode(file.read(length)))
            count += 1
    assert detector.readiness("S0000").ready
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
