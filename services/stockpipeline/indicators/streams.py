"""TA-Lib's streams without its Python wrapper around every call (``services/native/stream.c``).

The wrapper's extension module is linked to TA-Lib's C library; the functions are looked up there, so that
both use the same library with the same settings, and give the same bits.
"""

import ctypes
from functools import cache
from typing import Any

import talib

from stockpipeline.indicators.catalog import Call
from stockpipeline.market.bars import BarSeries
from stockpipeline_native import Stream

_SUCCESS, _INSUFFICIENT_HISTORY = 0, 17
"""Of TA-Lib's ``TA_RetCode``."""
_MOST_OUTPUTS = 4

_library = ctypes.CDLL(talib._ta_lib.__file__)


def open_stream(call: Call, history: BarSeries) -> Stream | None:
    """Return the call's stream at the last bar of the history, or None where that is too short.

    Raises ``RuntimeError`` for any other failure of TA-Lib.
    """
    function = call.function
    opener = _function(f"TA_{function.name}_Open", *_open_types(call))
    pointer = ctypes.c_void_p()
    columns = [getattr(history, name).ctypes.data for name in function.inputs]
    outputs = (ctypes.c_double * _MOST_OUTPUTS)()
    places = [ctypes.addressof(outputs) + 8 * index for index in range(len(function.outputs))]
    values = [value for _, value in call.parameters]
    code = opener(ctypes.byref(pointer), *columns, len(history), *values, *places)
    if code == _INSUFFICIENT_HISTORY:
        return None
    if code != _SUCCESS or pointer.value is None:
        raise RuntimeError(f"TA_{function.name}_Open of {len(history)} bars failed with code {code}")
    counts = (len(function.inputs), len(function.outputs))
    return Stream(pointer.value, _addresses(function.name), *counts, function.integers)


@cache
def _open_types(call: Call) -> tuple[Any, ...]:
    """Return the types of the arguments of an ``Open`` function: TA_RSI_Open(stream, in…, n, opt…, out…)."""
    function = call.function
    pointers = [ctypes.c_void_p] * len(function.inputs)
    options = [ctypes.c_int if parameter.integer else ctypes.c_double for parameter in function.parameters]
    outputs = [ctypes.c_void_p] * len(function.outputs)
    return (ctypes.c_void_p, *pointers, ctypes.c_int, *options, *outputs)


@cache
def _function(name: str, *types: Any) -> Any:
    function = getattr(_library, name)
    function.argtypes, function.restype = types, ctypes.c_int
    return function


@cache
def _addresses(name: str) -> tuple[int, int, int, int]:
    update, peek, value, close = (
        ctypes.cast(getattr(_library, f"TA_{name}_{what}"), ctypes.c_void_p).value or 0
        for what in ("Update", "Peek", "Value", "Close")
    )
    return update, peek, value, close
