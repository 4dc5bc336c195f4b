"""The rule language: Python's expression syntax, cut down to what a rule may say.

    rsi14 < 30 and close > open
    crosses_above(macd, macd_signal)
    (close - prev(close)) / prev(close) < -0.05

Names are the bar's fields and the indicators' values, all numbers, on the forming bar. ``prev(x)`` and
``prev(x, n)`` are ``x`` at the last closed bar and at the n-th last; ``crosses_above(a, b)`` says that a
was not above b at the last closed bar and is now. Numbers and conditions do not mix.

``translate`` walks the parsed tree once: it knows a few kinds of nodes, refuses all others with the column,
and writes the expression anew out of its own building blocks. So nothing that a user types ever runs as
Python, and a text of bounded length without powers, strings or foreign calls is computed in bounded time.
"""

import ast
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from math import isfinite

from stockpipeline.api import RULE_FUNCTIONS

MAX_CHARACTERS = 512
MAX_DEPTH = 64
MAX_BARS_BACK = 50


class RuleError(ValueError):
    """An expression is not one of the rule language; ``column`` counts from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(f"{message} (column {column})")
        self.message = message
        self.column = column


class Kind(Enum):
    """What an expression gives."""

    NUMBER = "a number"
    CONDITION = "a condition"


@dataclass(frozen=True)
class Read:
    """A value that an expression reads: its position in a vector, how many bars before the forming one."""

    slot: int
    bars_back: int


@dataclass(frozen=True)
class Translation:
    """An expression as Python over ``now``, the forming bar's vector, and ``past``, those of closed bars."""

    source: str
    kind: Kind
    reads: frozenset[Read]


def translate(text: str, slots: Mapping[str, int]) -> Translation:
    """Return the expression as Python; raise ``RuleError`` for anything that is not of the rule language.

    ``slots`` gives the position of every name in a vector.
    """
    if len(text) > MAX_CHARACTERS:
        raise RuleError(
            f"a rule has at most {MAX_CHARACTERS} characters, this has {len(text)}", MAX_CHARACTERS
        )
    for column, character in enumerate(text, 1):
        if not character.isascii() or (not character.isprintable() and not character.isspace()):
            raise RuleError(f"the character {character!r} is not part of the rule language", column)
    # In YAML a long rule may be written over several lines; to Python's parser those would be statements.
    line = "".join(" " if character.isspace() else character for character in text)
    indent = len(line) - len(line.lstrip())
    try:
        with warnings.catch_warnings():
            # Python would print a warning for what it is about to forbid, such as "1or 2".
            warnings.simplefilter("error", SyntaxWarning)
            tree = ast.parse(line.strip(), mode="eval")
    except SyntaxError as error:
        if not error.offset:
            # Python gives no place for what is missing at the end.
            raise RuleError("not an expression: it ends too early", len(line.rstrip()) + 1) from None
        raise RuleError(f"not an expression: {error.msg}", indent + error.offset) from None
    except (MemoryError, RecursionError):
        raise RuleError("nested too deeply", 1) from None
    translator = _Translator(slots, indent)
    kind, source = translator.translate(tree.body, 0, 0)
    return Translation(source, kind, frozenset(translator.reads))


_ARITHMETIC: Mapping[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_CROSSINGS = {"crosses_above": ("<=", ">"), "crosses_below": (">=", "<")}
_SIGNATURES = {
    "prev": "prev(value) or prev(value, 2): bars are a whole number from 1",
    "crosses_above": "crosses_above(a, b)",
    "crosses_below": "crosses_below(a, b)",
    "abs": "abs(value)",
    "min": "min(a, b, …) with 2 to 16 values",
    "max": "max(a, b, …) with 2 to 16 values",
}
_MOST_ARGUMENTS = 16
_Result = tuple[Kind, str]


class _Translator:
    """Translates the nodes of one expression; ``back`` counts the bars before the forming one."""

    def __init__(self, slots: Mapping[str, int], indent: int) -> None:
        self.reads: set[Read] = set()
        self._slots = slots
        self._indent = indent

    def translate(self, node: ast.expr, back: int, depth: int) -> _Result:
        if depth > MAX_DEPTH:
            raise self._error(node, f"nested more than {MAX_DEPTH} deep")
        match node:
            case ast.Constant():
                return Kind.NUMBER, self._constant(node)
            case ast.Name():
                return Kind.NUMBER, self._name(node, back)
            case ast.Call():
                return self._call(node, back, depth + 1)
            case ast.BinOp():
                return Kind.NUMBER, self._arithmetic(node, back, depth + 1)
            case ast.Compare():
                return Kind.CONDITION, self._comparison(node, back, depth + 1)
            case ast.BoolOp():
                word = " and " if isinstance(node.op, ast.And) else " or "
                terms = (self._condition(value, back, depth + 1) for value in node.values)
                return Kind.CONDITION, f"({word.join(terms)})"
            case ast.UnaryOp(op=ast.Not()):
                return Kind.CONDITION, f"(not {self._condition(node.operand, back, depth + 1)})"
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                sign = "-" if isinstance(node.op, ast.USub) else "+"
                return Kind.NUMBER, f"({sign}{self._number(node.operand, back, depth + 1)})"
        raise self._error(node, f"{_describe(node)} is not part of the rule language")

    def _number(self, node: ast.expr, back: int, depth: int) -> str:
        return self._of_kind(Kind.NUMBER, node, back, depth)

    def _condition(self, node: ast.expr, back: int, depth: int) -> str:
        return self._of_kind(Kind.CONDITION, node, back, depth)

    def _of_kind(self, wanted: Kind, node: ast.expr, back: int, depth: int) -> str:
        kind, source = self.translate(node, back, depth)
        if kind is not wanted:
            raise self._error(node, f"expected {wanted.value} here, this is {kind.value}")
        return source

    def _constant(self, node: ast.Constant) -> str:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise self._error(node, f"{node.value!r} is not a number")
        try:
            number = float(node.value)
        except OverflowError:
            number = float("inf")
        if not isfinite(number):
            raise self._error(node, "the number is too large")
        return repr(number)

    def _name(self, node: ast.Name, back: int) -> str:
        slot = self._slots.get(node.id)
        if slot is None:
            if node.id in RULE_FUNCTIONS:
                raise self._error(node, f"{node.id} is a function: write {node.id}(…)")
            near = _suggestion(node.id, self._slots)
            raise self._error(
                node, f"unknown name {node.id!r}{near or '; there are ' + ', '.join(self._slots)}"
            )
        self.reads.add(Read(slot, back))
        return f"now[{slot}]" if back == 0 else f"past[{back - 1}][{slot}]"

    def _arithmetic(self, node: ast.BinOp, back: int, depth: int) -> str:
        operator = _ARITHMETIC.get(type(node.op))
        if operator is None:
            raise self._error(
                node, f"{_describe(node.op)} is not part of the rule language; there are + - * /"
            )
        return f"({self._number(node.left, back, depth)} {operator} {self._number(node.right, back, depth)})"

    def _comparison(self, node: ast.Compare, back: int, depth: int) -> str:
        parts = [self._number(node.left, back, depth)]
        for compare, right in zip(node.ops, node.comparators, strict=True):
            operator = _COMPARISONS.get(type(compare))
            if operator is None:
                raise self._error(node, f"{_describe(compare)} is not part of the rule language")
            parts += [operator, self._number(right, back, depth)]
        return f"({' '.join(parts)})"

    def _call(self, node: ast.Call, back: int, depth: int) -> _Result:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in RULE_FUNCTIONS:
            named = f"unknown function {name!r}" if name else "only functions have arguments"
            near = _suggestion(name, RULE_FUNCTIONS) or f"; there are {', '.join(RULE_FUNCTIONS)}"
            raise self._error(node, f"{named}{near}")
        if node.keywords:
            raise self._error(node, f"{name} takes its arguments by position")
        match name, node.args:
            case "prev", [value]:
                return self.translate(value, self._earlier(node, back, 1), depth)
            case "prev", [value, ast.Constant(value=int(bars))] if bars >= 1 and not isinstance(bars, bool):
                return self.translate(value, self._earlier(node, back, bars), depth)
            case (("crosses_above" | "crosses_below"), [a, b]):
                before, after = _CROSSINGS[name]
                earlier = self._earlier(node, back, 1)
                closed = f"{self._number(a, earlier, depth)} {before} {self._number(b, earlier, depth)}"
                return Kind.CONDITION, (
                    f"({closed} and {self._number(a, back, depth)} {after} {self._number(b, back, depth)})"
                )
            case "abs", [value]:
                return Kind.NUMBER, f"abs({self._number(value, back, depth)})"
            case (("min" | "max"), [_, _, *_]) if len(node.args) <= _MOST_ARGUMENTS:
                return Kind.NUMBER, f"{name}({', '.join(self._number(a, back, depth) for a in node.args)})"
        raise self._error(node, f"write {_SIGNATURES[name]}")

    def _earlier(self, node: ast.expr, back: int, bars: int) -> int:
        if back + bars > MAX_BARS_BACK:
            raise self._error(node, f"a rule looks back at most {MAX_BARS_BACK} bars")
        return back + bars

    def _error(self, node: ast.expr, message: str) -> RuleError:
        return RuleError(message, self._indent + node.col_offset + 1)


def _describe(node: ast.AST) -> str:
    """Name a piece of Python that the rule language lacks, in words."""
    return _WORDS.get(type(node), f"Python's {type(node).__name__}")


_WORDS: Mapping[type[ast.AST], str] = {
    ast.Attribute: "a dot after a name",
    ast.Dict: "a dictionary",
    ast.FloorDiv: "//",
    ast.IfExp: "if … else",
    ast.In: "in",
    ast.Invert: "~",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.JoinedStr: "a text",
    ast.Lambda: "lambda",
    ast.List: "a list",
    ast.MatMult: "@",
    ast.Mod: "%",
    ast.NamedExpr: ":=",
    ast.NotIn: "not in",
    ast.Pow: "**",
    ast.Set: "a set",
    ast.Subscript: "[…] after a name",
    ast.Tuple: "a list of values",
    ast.BitAnd: "& (write and)",
    ast.BitOr: "| (write or)",
    ast.BitXor: "^",
}


def _suggestion(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""
