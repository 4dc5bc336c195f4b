"""The indicators of all symbols, part by part: the same function for one process and for Spark.

``compute_part`` turns tables into a table, without files. ``compute_file`` reads and writes those of one
part, and is what an engine runs for each part: ``compute_all`` here, in threads of this process; TA-Lib,
Arrow and the file system work outside Python's lock.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stockpipeline.api import BAR_FIELDS, Indicator
from stockpipeline.batch.lake import (
    ACTIONS,
    BARS,
    KEY_FIELDS,
    PARTS,
    BrokenPart,
    Lake,
    actions_of,
    count_rows,
    read_part,
    series_of,
    write_part,
)
from stockpipeline.indicators.engine import Plan
from stockpipeline.indicators.series import many_series_values
from stockpipeline.market.bars import BarSeries, InvalidBars
from stockpipeline.market.corporate_actions import ImpossibleAction, adjusted

_INPUTS = "stockpipeline.inputs"
_VERSION = "1"
"""Changes whenever the same inputs would give other values."""


@dataclass(frozen=True)
class Computed:
    """What a run did: parts that were computed, parts whose inputs had not changed, rows computed."""

    parts: int
    unchanged: int
    rows: int


@dataclass(frozen=True)
class Pending:
    """What a run has to do: parts whose indicators are not of their bars, and the rows of these."""

    parts: tuple[int, ...]
    rows: int
    inputs: str
    """Digest of the indicators, and of the bars and actions of all parts."""


def value_fields(plan: Plan) -> list[tuple[str, int]]:
    """Return the names of the indicators' values and their rows in ``series_values``, in order."""
    return [(name, slot - len(BAR_FIELDS)) for name, slot in plan.slots.items() if name not in BAR_FIELDS]


def indicators_schema(plan: Plan) -> pa.Schema:
    """Return the columns of a part of indicators."""
    return pa.schema(KEY_FIELDS + [(name, pa.float64()) for name, _ in value_fields(plan)])


def compute_part(plan: Plan, bars: pa.Table, actions: pa.Table) -> pa.Table:
    """Return the indicators' values for every row of bars, NaN where there is none yet.

    Raises:
        InvalidBars: rows that are no series; the message begins with the symbol.
        ImpossibleAction: a split or dividend that cannot be; likewise.
    """
    by_symbol = actions_of(actions)
    every: list[BarSeries] = []
    for symbol, _, series in series_of(bars):
        try:
            every.append(adjusted(series, by_symbol.get(symbol, ())))
        except ImpossibleAction as error:
            raise ImpossibleAction(f"{symbol}: {error}") from None
    values = many_series_values(plan, every)
    columns = [pa.array(values[row]) for _, row in value_fields(plan)]
    return pa.table([bars.column("symbol"), bars.column("session"), *columns], schema=indicators_schema(plan))


def compute_file(lake: Lake, part: int, indicators: Sequence[Indicator], *, anew: bool = False) -> int | None:
    """Bring a part's indicators to its bars; return the rows computed, None where nothing has changed.

    Raises:
        BrokenPart: bars or actions that cannot be read or cannot be; the message names the file.
    """
    inputs = _digest(lake, part, indicators)
    out = lake.indicators(part)
    if not anew and _inputs_of(out) == inputs:
        return None
    bars = read_part(lake.bars(part), BARS)
    try:
        table = compute_part(Plan(indicators), bars, read_part(lake.actions(part), ACTIONS))
    except (InvalidBars, ImpossibleAction) as error:
        raise BrokenPart(f"{lake.bars(part)}: {error}") from error
    write_part(out, table, {_INPUTS: inputs})
    return int(table.num_rows)


def compute_all(
    lake: Lake,
    indicators: Sequence[Indicator],
    *,
    parts: Iterable[int] = range(PARTS),
    threads: int = 2,
    anew: bool = False,
) -> Computed:
    """Bring the indicators of these parts to their bars; raise ``BrokenPart`` after the others are done."""
    with ThreadPoolExecutor(threads, thread_name_prefix="compute") as pool:
        found = list(pool.map(lambda part: compute_file(lake, part, indicators, anew=anew), parts))
    rows = [count for count in found if count is not None]
    return Computed(len(rows), len(found) - len(rows), sum(rows))


def pending(lake: Lake, indicators: Sequence[Indicator], *, anew: bool = False, threads: int = 2) -> Pending:
    """Return what ``compute_all`` would do. Reads all bars, some tenths of a second for millions of rows.

    Raises:
        BrokenPart: bars that cannot be read.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="look") as pool:
        inputs = list(pool.map(lambda part: _digest(lake, part, indicators), range(PARTS)))
    parts = tuple(part for part in range(PARTS) if anew or _inputs_of(lake.indicators(part)) != inputs[part])
    whole = blake2b("".join(inputs).encode(), digest_size=16).hexdigest()
    return Pending(parts, sum(count_rows(lake.bars(part)) for part in parts), whole)


def _digest(lake: Lake, part: int, indicators: Sequence[Indicator]) -> str:
    # Not BLAKE2, as elsewhere: processors have instructions for this one, and this is all of the lake.
    digest = sha256(_VERSION.encode())
    for indicator in indicators:
        digest.update(indicator.model_dump_json().encode() + b"\0")
    for path in (lake.bars(part), lake.actions(part)):
        digest.update(path.read_bytes() if path.exists() else b"")
        digest.update(b"\0")
    return digest.hexdigest()


def _inputs_of(path: Path) -> str | None:
    """Return what a part was computed from, None where there is none that can be read."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return None
    found = metadata.get(_INPUTS.encode())
    return None if found is None else found.decode()
