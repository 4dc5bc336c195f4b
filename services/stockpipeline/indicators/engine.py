"""The streaming engine: the values of all indicators of one symbol, on closed bars and on the forming one.

``Plan`` is made once per pipeline, ``IndicatorEngine`` once per symbol. Both deal in *vectors*: the bar's
open, high, low, close, volume, then every indicator value, all floats, at the positions of
``catalog.Layout``. NaN means "not known": too little history, or a flat series.

A tick revises the forming bar, it never appends one. So the committed state is that of the closed bars
alone; ``peek`` says what the values would be with one more bar, and only ``commit`` moves on. Both are
bit-identical to TA-Lib's batch functions over the same bars.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from math import nan
from typing import cast

from stockpipeline.api import BAR_FIELDS, Indicator
from stockpipeline.indicators.catalog import Call, Layout
from stockpipeline.indicators.own import SessionStart, SessionVwap
from stockpipeline.indicators.registry import Computation, Handle, Values, daily
from stockpipeline.market.bars import Bar, BarSeries
from stockpipeline_native import Stream

Vector = tuple[float, ...]
VectorOf = Callable[[float, float, float, float, float], Vector]
"""(open, high, low, close, volume) of a bar → the vector of that bar."""


class Plan:
    """What to compute for every symbol of a pipeline.

    ``session_start`` tells the first bar of a bar's session; without it, bars are daily.

    Raises ``IndicatorError`` for an indicator that cannot be computed.
    """

    def __init__(self, indicators: Iterable[Indicator], session_start: SessionStart = daily) -> None:
        layout = Layout.of(indicators)
        self.slots = layout.slots
        """Value name → position in a vector."""
        self.computations = tuple(Computation(call, session_start) for call in layout.calls)
        self.bind = _compile_binder(layout.calls)
        """One ``peek`` per computation → the function that makes the vector of a bar."""
        owners: list[int | None] = [None] * len(BAR_FIELDS)
        self.starts: list[int] = []
        """Position of each computation's first value in a vector."""
        for index, call in enumerate(layout.calls):
            self.starts.append(len(owners))
            owners += [index] * len(call.function.outputs)
        self.width = len(owners)
        """The length of a vector."""
        self.owners = tuple(owners)
        """Position in a vector → index of its computation; None for the bar's own fields."""
        self.minimum_bars = max((computation.minimum_bars for computation in self.computations), default=0)
        """Closed bars from which every indicator counts as converged."""


class IndicatorEngine:
    """The indicators of one symbol, opened on its history; ``past`` holds ``keep`` closed vectors."""

    peek: VectorOf
    """The vector that the bar of which ``form`` was told would have; changes nothing."""

    def __init__(self, plan: Plan, history: BarSeries, keep: int = 1) -> None:
        self._plan = plan
        self._keep = keep
        self._columns = [_Column(computation) for computation in plan.computations]
        self._forming: int | None = None
        self.bars = 0
        """Closed bars so far, history included."""
        self.past: tuple[Vector, ...] = ()
        """Vectors of the last closed bars, newest first."""
        self.confidences: tuple[float, ...] = ()
        """How converged each computation is (see ``Computation.confidence``)."""

        # All but the newest bars open the handles; those are then committed one by one, which fills `past`.
        head = history[: max(0, len(history) - keep)]
        self.bars = len(head)
        self._short_history: list[Bar] = []
        for column in self._columns:
            column.start(head)
        if not all(column.is_open for column in self._columns):
            self._short_history = list(head)
        self._refresh()
        for bar in history[len(head) :]:
            self.commit(bar)

    def form(self, bar: int) -> None:
        """Let ``peek`` be about the bar of this number, which comes after the closed ones."""
        if bar != self._forming:
            self._forming = bar
            for column in self._columns:
                column.form(bar)

    def commit(self, bar: Bar) -> None:
        """Take a closed bar."""
        self.form(bar.session)
        fields = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        self.bars += 1
        missing = [column for column in self._columns if not column.is_open]
        if missing:
            self._short_history.append(bar)
            history = BarSeries.from_bars(self._short_history)
        for column in self._columns:
            if column.is_open:
                column.advance(fields)
            else:
                column.start(history)
        if missing and all(column.is_open for column in self._columns):
            self._short_history = []
        vector = (*fields, *(value for column in self._columns for value in column.closed_values()))
        self.past = (vector, *self.past)[: self._keep]
        self._refresh()

    def native_column(self, index: int) -> tuple[Stream, int, bytes] | None:
        """Return a computation for the native path, good until the next closed bar.

        As its stream, the position of its first value in a vector and those of its inputs. None where its
        values are unknown, might be those of a flat series, or come from no native stream.
        """
        stream = self._columns[index].native_stream
        if stream is None:
            return None
        return stream, self._plan.starts[index], self._columns[index].positions

    def _refresh(self) -> None:
        """Bind ``peek`` to what the columns are now: open or not, possibly flat or not."""
        self.confidences = tuple(computation.confidence(self.bars) for computation in self._plan.computations)
        self.peek = self._plan.bind([column.peek for column in self._columns])


class _Column:
    """One computation for one symbol: its handle, once there is history, and whether its inputs are flat."""

    def __init__(self, computation: Computation) -> None:
        self._computation = computation
        inputs = computation.call.function.inputs
        self.positions = bytes(BAR_FIELDS.index(name) for name in inputs)
        # A series is flat when its prices are; volume counts only where nothing else is read.
        self._watched = [i for i, name in enumerate(inputs) if name != "volume"] or [0]
        outputs = len(computation.call.function.outputs)
        self._unknown: Values = nan if outputs == 1 else (nan,) * outputs
        self._flat_bars = computation.flat_bars or sys.maxsize
        self._handle: Handle | None = None
        self._unchanged: tuple[float, ...] = ()
        self._unchanged_bars = 0

    @property
    def is_open(self) -> bool:
        return self._handle is not None

    @property
    def peek(self) -> Callable[..., Values]:
        """The cheapest function that is right until the next closed bar."""
        if self._handle is None:
            return self._peek_unknown
        if self._unchanged_bars + 1 < self._flat_bars:
            return self._handle.peek
        return self._peek_unless_flat

    @property
    def native_stream(self) -> Stream | None:
        """The stream whose values are known whatever the forming bar is, if it is a native one."""
        sure = self._unchanged_bars + 1 < self._flat_bars
        return self._handle if sure and isinstance(self._handle, Stream) else None

    def closed_values(self) -> Vector:
        """Return the values at the last closed bar."""
        known = self._handle is not None and self._unchanged_bars < self._flat_bars
        values = self._handle.value if self._handle is not None and known else self._unknown
        return values if isinstance(values, tuple) else (values,)

    def start(self, history: BarSeries) -> None:
        """Open the handle on the history, if that is long enough."""
        if len(history) <= self._computation.lookback:
            return
        self._handle = self._computation.open(history)
        if self._handle is None:
            # Some functions need a few bars more than their lookback to seed themselves.
            return
        newest = history.last(min(self._flat_bars, len(history)))
        names = [self._computation.call.function.inputs[i] for i in self._watched]
        rows = list(zip(*(getattr(newest, name).tolist() for name in names), strict=True))
        self._unchanged = rows.pop()
        self._unchanged_bars = 1
        while rows and rows.pop() == self._unchanged:
            self._unchanged_bars += 1

    def form(self, bar: int) -> None:
        """Let the bar of this number be the next one."""
        if isinstance(self._handle, SessionVwap):
            self._handle.begin(self._computation.session_start(bar))

    def advance(self, fields: Vector) -> None:
        """Take the fields of a closed bar; the handle is open."""
        assert self._handle is not None
        inputs = self._inputs(fields)
        self._handle.update(*inputs)
        self._watch(inputs)

    def _inputs(self, fields: Vector) -> Vector:
        return tuple(fields[position] for position in self.positions)

    def _watch(self, inputs: Vector) -> None:
        watched = tuple(inputs[i] for i in self._watched)
        self._unchanged_bars = self._unchanged_bars + 1 if watched == self._unchanged else 1
        self._unchanged = watched

    def _peek_unknown(self, *_: float) -> Values:
        return self._unknown

    def _peek_unless_flat(self, *inputs: float) -> Values:
        assert self._handle is not None
        if tuple(inputs[i] for i in self._watched) == self._unchanged:
            return self._unknown
        return self._handle.peek(*inputs)


def _compile_binder(calls: Sequence[Call]) -> Callable[[Sequence[Callable[..., Values]]], VectorOf]:
    """Return a function: one ``peek`` per call → the function that makes a bar's vector with them.

    Written as one expression over the calls of this pipeline, because it runs on every tick: a loop over
    columns costs as much again as TA-Lib itself.
    """
    fields = ", ".join(BAR_FIELDS)
    peeks = [f"peek{index}" for index in range(len(calls))]
    terms = [
        f"{'*' if len(call.function.outputs) > 1 else ''}{peek}({', '.join(call.function.inputs)})"
        for peek, call in zip(peeks, calls, strict=True)
    ]
    source = f"lambda {', '.join(peeks)}: lambda {fields}: ({', '.join([fields, *terms])})"
    # Only names from the catalogue get in here, nothing that a user writes.
    bind = eval(source, {"__builtins__": {}})  # noqa: S307
    return lambda functions: cast(VectorOf, bind(*functions))
