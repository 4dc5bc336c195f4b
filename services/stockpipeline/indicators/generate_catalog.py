"""Writes ``talib_catalog.json`` from the installed TA-Lib: ``python -m
stockpipeline.indicators.generate_catalog``.

TA-Lib tells names, types and defaults, but not the ranges of parameters; they are found by asking for the
lookback, which is -1 outside of the range. Left out are functions that need a series which is not part of a
bar (MAVP), and those whose value is a position in the history (MAXINDEX and its like): it would change with
how much history happened to be loaded.
"""

import json
import sys
from typing import Any

import numpy as np
import talib
from talib import abstract

_LEFT_OUT = {"MAVP", "MAXINDEX", "MININDEX", "MINMAXINDEX"}
_REAL_BOUNDS = (-3e37, 0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0, 5.0, 10.0, 50.0, 100.0, 1000.0, 3e37)
_INTEGER_LIMIT = 1 << 20


def describe(name: str) -> dict[str, Any]:
    """Return the catalogue's entry of one function."""
    function = _function(name)
    inputs: list[str] = []
    for series in function.input_names.values():
        inputs.extend([series] if isinstance(series, str) else series)
    return {
        "title": function.info["display_name"],
        "group": function.info["group"],
        "inputs": inputs,
        "parameters": [_parameter(name, key, value) for key, value in function.parameters.items()],
        "outputs": function.output_names,
        "integers": _integers(name, len(inputs)),
    }


def render() -> str:
    """Return the whole catalogue, one function a line; the same TA-Lib always gives the same text."""
    entries = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(describe(name))}"
        for name in sorted(talib.get_functions())  # type: ignore[no-untyped-call]
        if name not in _LEFT_OUT
    )
    return f"{{\n{entries}\n}}\n"


def _integers(name: str, inputs: int) -> int:
    """Return which outputs are of whole numbers, as bits; TA-Lib tells only by what it computes."""
    results = getattr(talib, name)(*[np.linspace(1.0, 2.0, 500)] * inputs)
    columns = results if isinstance(results, tuple) else (results,)
    return sum(1 << index for index, column in enumerate(columns) if column.dtype.kind == "i")


def _function(name: str, **parameters: int | float) -> Any:
    return abstract.Function(name, **parameters)  # type: ignore[attr-defined]  # not in TA-Lib's stubs


def _parameter(function: str, name: str, default: int | float) -> dict[str, Any]:
    integer = isinstance(default, int)
    low, high = (
        _integer_range(function, name, default) if isinstance(default, int) else _real_range(function, name)
    )
    return {
        "name": name,
        "type": "integer" if integer else "number",
        "default": default,
        "minimum": low,
        "maximum": high,
    }


def _accepts(function: str, name: str, value: int | float) -> bool:
    return bool(_function(function, **{name: value}).lookback != -1)


def _integer_range(function: str, name: str, default: int) -> tuple[int, int]:
    """Bisect both ends of the interval of accepted values around the default."""
    ends = []
    for outside in (-_INTEGER_LIMIT, _INTEGER_LIMIT):
        good, bad = default, outside
        while abs(good - bad) > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if _accepts(function, name, middle) else (good, middle)
        ends.append(good)
    return ends[0], ends[1]


def _real_range(function: str, name: str) -> tuple[float, float]:
    accepted = [bound for bound in _REAL_BOUNDS if _accepts(function, name, bound)]
    return accepted[0], accepted[-1]


if __name__ == "__main__":
    sys.stdout.write(render())
