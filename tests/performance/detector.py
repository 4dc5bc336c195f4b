"""`make bench-detector`: how fast the detector is, by itself and as a whole job through a broker."""

from __future__ import annotations

import argparse

from tests.performance import detector_engine
from tests.performance.report import Report


def main() -> int:
    """Measure; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few ticks and symbols")
    chosen = parser.parse_args()
    report = Report("detector", quick=chosen.quick)
    detector_engine.measure(report, quick=chosen.quick)
    report.finish()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
