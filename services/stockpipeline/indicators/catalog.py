"""Which indicators exist, as data: TA-Lib's functions, and those that it lacks (``own_catalog``).

The operator checks a resource with this module when it is applied; its image has neither TA-Lib nor numpy.
``talib_catalog.json`` is generated (see ``generate_catalog``).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

from stockpipeline.api import BAR_FIELDS, Indicator
from stockpipeline.indicators.own_catalog import OWN_CATALOG

Number = int | float


class IndicatorError(ValueError):
    """An indicator of a pipeline cannot be computed; the message says which, why and what to do."""


class UnknownIndicator(IndicatorError):
    """There is no such function, or none that works on bars."""


class BadParameter(IndicatorError):
    """A parameter that the function does not have, or a value that it does not accept."""


class AmbiguousName(IndicatorError):
    """Two indicators give values of the same name."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function, with the range that TA-Lib accepts (both ends included)."""

    name: str
    integer: bool
    default: Number
    minimum: Number
    maximum: Number

    def check(self, value: Number) -> Number:
        """Return the value in the parameter's type; raise ``BadParameter`` where it is not accepted."""
        number = float(value)
        fits = self.minimum <= number <= self.maximum and (not self.integer or number.is_integer())
        if isinstance(value, bool) or not fits:
            kind = "a whole number" if self.integer else "a number"
            raise BadParameter(
                f"{self.name} must be {kind} from {self.minimum:g} to {self.maximum:g}, not {value}"
            )
        return int(number) if self.integer else number


@dataclass(frozen=True)
class Function:
    """One function: the bar fields it reads, its parameters, and the names of its outputs."""

    name: str
    title: str
    group: str
    inputs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    outputs: tuple[str, ...]
    integers: int = 0
    """Bit i is set where output i is a whole number: a candlestick pattern, a direction."""

    def complete(self, parameters: Mapping[str, Number]) -> dict[str, Number]:
        """Return all parameters, defaults filled in; raise ``BadParameter`` for a wrong name or value."""
        known = [parameter.name for parameter in self.parameters]
        for name in parameters:
            if name not in known:
                raise BadParameter(
                    f"{self.name} has no parameter {name!r}{_suggestion(name, known)}; "
                    f"it has {', '.join(known) or 'none'}"
                )
        try:
            return {p.name: p.check(parameters.get(p.name, p.default)) for p in self.parameters}
        except BadParameter as error:
            raise BadParameter(f"{self.name}: {error}") from None

    def value_names(self, name: str) -> tuple[str, ...]:
        """Return the names of the values that an indicator called ``name`` gives, in the order of its
        outputs.

        One output: the name itself. Several: NAME_OUTPUT, where OUTPUT is TA-Lib's name without the
        function's own name in front or "band" at the end (macd_signal, bb_upper); what is left empty gives
        NAME (macd).
        """
        if len(self.outputs) == 1:
            return (name,)
        suffixes = (output.removeprefix(self.name.lower()).removesuffix("band") for output in self.outputs)
        return tuple(f"{name}_{suffix}" if suffix else name for suffix in suffixes)


@cache
def functions() -> Mapping[str, Function]:
    """Return all functions by name."""
    text = (files(__package__) / "talib_catalog.json").read_text()
    return {name: _function(name, entry) for name, entry in (json.loads(text) | OWN_CATALOG).items()}


def find_function(name: str) -> Function:
    """Return the function of this name; raise ``UnknownIndicator`` with the nearest names otherwise."""
    try:
        return functions()[name]
    except KeyError:
        near = _suggestion(name.upper(), functions())
        others = (
            f"; its functions are listed at https://ta-lib.org/functions/, besides {', '.join(OWN_CATALOG)}"
        )
        raise UnknownIndicator(
            f"TA-Lib has no function {name!r} that works on bars{near or others}"
        ) from None


@dataclass(frozen=True)
class Call:
    """A function with all of its parameters."""

    function: Function
    parameters: tuple[tuple[str, Number], ...]


@dataclass(frozen=True)
class Layout:
    """Where the values of a set of indicators stand in a vector.

    The bar's fields come first, then the outputs of each call in order. Indicators that make the same call
    share its values.
    """

    slots: dict[str, int]
    """Every name that a rule may use → its position."""
    calls: tuple[Call, ...]
    """The distinct calls, in the order of their values."""

    @classmethod
    def of(cls, indicators: Iterable[Indicator]) -> "Layout":
        """Return the layout; raise ``IndicatorError``, naming the first indicator that cannot be computed."""
        slots = {field: position for position, field in enumerate(BAR_FIELDS)}
        starts: dict[Call, int] = {}
        size = len(BAR_FIELDS)
        for indicator in indicators:
            try:
                function = find_function(indicator.function)
                call = Call(function, tuple(function.complete(indicator.parameters).items()))
            except IndicatorError as error:
                raise type(error)(f"indicator {indicator.name!r}: {error}") from None
            if call not in starts:
                starts[call] = size
                size += len(function.outputs)
            for position, name in enumerate(function.value_names(indicator.name), starts[call]):
                if name in slots:
                    raise AmbiguousName(
                        f"indicator {indicator.name!r}: another one already gives a value {name!r}; rename it"
                    )
                slots[name] = position
        return cls(slots, tuple(starts))


def _function(name: str, entry: dict[str, Any]) -> Function:
    return Function(
        name=name,
        title=entry["title"],
        group=entry["group"],
        inputs=tuple(entry["inputs"]),
        parameters=tuple(
            Parameter(p["name"], p["type"] == "integer", p["default"], p["minimum"], p["maximum"])
            for p in entry["parameters"]
        ),
        outputs=tuple(entry["outputs"]),
        integers=entry["integers"],
    )


def _suggestion(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""
