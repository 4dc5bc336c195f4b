"""The command line of the services, in a process that lives at another time: its clock goes on from there.

    python -m tests.integration.services.clock SECONDS-AHEAD producer --config FILE

So whether an exchange is open does not depend on when the tests run.
"""

from __future__ import annotations

import sys
import time

OPEN = 1735311600
"""2024-12-27T15:00Z, a Friday: New York trades for six more hours."""
CLOSED = 1735398000
"""A day later, in the weekend: nobody trades for a day and more, so no silence counts."""
_BEGAN = time.time()


def ahead(seconds: float) -> float:
    """How far a clock is ahead that showed this time (epoch seconds) when the tests began."""
    return seconds - _BEGAN


def live_ahead(seconds: float) -> None:
    """Set this process's clock ahead; less than 0 is back."""
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + int(seconds * 1e9)


if __name__ == "__main__":
    live_ahead(float(sys.argv.pop(1)))
    from stockpipeline.cli import main

    raise SystemExit(main())
