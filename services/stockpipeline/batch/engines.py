"""Which engine computes: this process, or Spark's pods. Pure, but for the counting of rows.

Spark has to start, and then costs more for each row; it pays where its executors have more cores than this
process, and enough rows to make up for its start. How the figures were measured is in docs/batch.md.
"""

from dataclasses import dataclass

from stockpipeline.api import Engine

SPARK_START_SECONDS = 25.0
"""From the request to the first row: a driver, a session, executors; as pods on two cores."""
LOCAL_ROWS_PER_CORE = 2_000_000.0
"""Rows in a second of one core, in this process."""
SPARK_ROWS_PER_CORE = 460_000.0
"""Rows in a second of one core of executors that are warm."""


@dataclass(frozen=True)
class Choice:
    """An engine, and why."""

    engine: Engine
    reason: str


def choose(wanted: Engine, rows: int, cores: int, executor_cores: int | None) -> Choice:
    """Return the engine for so many rows to compute.

    ``cores`` are those of this process; ``executor_cores`` those of all executors together, None where there
    is no cluster to run them.
    """
    if wanted is not Engine.AUTO:
        return Choice(wanted, "as asked for")
    if executor_cores is None:
        return Choice(Engine.LOCAL, "nothing is told of Spark's pods")
    least = crossing_rows(cores, executor_cores)
    if least is None:
        return Choice(Engine.LOCAL, f"executors with {executor_cores} cores never pay next to {cores} here")
    if rows < least:
        return Choice(Engine.LOCAL, f"{rows:,} rows; Spark pays from {least:,} on")
    return Choice(Engine.SPARK, f"{rows:,} rows, at least {least:,}")


def crossing_rows(cores: int, executor_cores: int) -> int | None:
    """Return the number of rows from which Spark is done first; None if it never is."""
    local, spark = cores * LOCAL_ROWS_PER_CORE, executor_cores * SPARK_ROWS_PER_CORE
    if spark <= local:
        return None
    return round(SPARK_START_SECONDS / (1 / local - 1 / spark))
