"""Conditions of rules as programs for the native path (``services/native/program.c``).

They are compiled out of the Python that ``syntax`` wrote, so there is one meaning of the rule language and
one place that checks it. What this module does not know gives no program; such a rule is evaluated in Python
on every tick, with the same result.
"""

import ast
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from math import inf
from typing import NamedTuple, cast

from stockpipeline.indicators.engine import Vector
from stockpipeline.signals.rules import BUILTINS
from stockpipeline_native import Program

_INSTRUCTION = struct.Struct("iid")
_Instruction = tuple[int, int, float]
_MAX_DEPTH = 64


class _Operation(IntEnum):
    """As in ``program.c``."""

    CONSTANT = 0
    NOW = 1
    PAST = 2
    NEGATE = 3
    ADD = 4
    SUBTRACT = 5
    MULTIPLY = 6
    DIVIDE = 7
    LESS = 8
    LESS_EQUAL = 9
    GREATER = 10
    GREATER_EQUAL = 11
    EQUAL = 12
    NOT_EQUAL = 13
    NOT = 14
    ABSOLUTE = 15
    MINIMUM = 16
    MAXIMUM = 17
    JUMP_IF_FALSE = 18
    JUMP_IF_TRUE = 19
    LESS_THAN_CONSTANT = 20
    GREATER_THAN_CONSTANT = 21
    NOW_LESS = 22
    NOW_LESS_EQUAL = 23
    NOW_GREATER = 24
    NOW_GREATER_EQUAL = 25


_ARITHMETIC: dict[type[ast.operator], _Operation] = {
    ast.Add: _Operation.ADD,
    ast.Sub: _Operation.SUBTRACT,
    ast.Mult: _Operation.MULTIPLY,
    ast.Div: _Operation.DIVIDE,
}
_COMPARISONS: dict[type[ast.cmpop], _Operation] = {
    ast.Lt: _Operation.LESS,
    ast.LtE: _Operation.LESS_EQUAL,
    ast.Gt: _Operation.GREATER,
    ast.GtE: _Operation.GREATER_EQUAL,
    ast.Eq: _Operation.EQUAL,
    ast.NotEq: _Operation.NOT_EQUAL,
}
_WITH_CONSTANT = {
    _Operation.LESS: _Operation.LESS_THAN_CONSTANT,
    _Operation.GREATER: _Operation.GREATER_THAN_CONSTANT,
}
_OF_NOW = {
    _Operation.LESS: _Operation.NOW_LESS,
    _Operation.LESS_EQUAL: _Operation.NOW_LESS_EQUAL,
    _Operation.GREATER: _Operation.NOW_GREATER,
    _Operation.GREATER_EQUAL: _Operation.NOW_GREATER_EQUAL,
}
_SECOND_SLOT = 1 << 16
"""An instruction with two positions has the second one in its upper half."""
_FUNCTIONS = {"min": _Operation.MINIMUM, "max": _Operation.MAXIMUM}


class Bound(NamedTuple):
    """A condition that holds where one value of the forming bar is below ``low`` or above ``high``."""

    slot: int
    low: float = -inf
    high: float = inf


class _NotNative(Exception):
    """The expression has something that programs do not."""


def shared_terms(sources: Iterable[str]) -> tuple[str, ...]:
    """Return the terms that several conditions have in common, the largest ones, each as Python.

    Rules of a kind often compare the same long expression with different numbers; it is computed once then.
    """
    trees = [ast.parse(source, mode="eval").body for source in sources]
    counts = Counter(
        text for tree in trees for text in {ast.unparse(term) for term in ast.walk(tree) if _is_term(term)}
    )
    found: dict[str, None] = {}
    waiting: list[ast.AST] = list(trees)
    while waiting:
        node = waiting.pop()
        if _is_term(node) and counts[text := ast.unparse(node)] > 1:
            found[text] = None
        else:
            waiting += ast.iter_child_nodes(node)
    return tuple(found)


def shared_in(source: str, shared: Sequence[str]) -> tuple[int, ...]:
    """Return which of the shared terms a condition reads."""
    parts = {ast.unparse(node) for node in ast.walk(ast.parse(source, mode="eval")) if _is_term(node)}
    return tuple(index for index, term in enumerate(shared) if term in parts)


def compile_program(source: str, width: int, shared: Sequence[str] = ()) -> Program | None:
    """Return the program of a condition over ``now`` and ``past`` (see ``syntax.Translation``), or of a term.

    ``width`` is the length of a vector; values of the ``shared`` terms come behind it. None where there is no
    program.
    """
    code = _compile(source, width, shared)
    return (
        None if code is None else Program(b"".join(_INSTRUCTION.pack(*instruction) for instruction in code))
    )


def compile_bound(source: str, width: int, shared: Sequence[str] = ()) -> Bound | None:
    """Return what a condition says that compares one value with a constant; None for any other.

    Most conditions are that, and however many of them there are for a value, the tightest alone decides.
    """
    match _compile(source, width, shared):
        case [(_Operation.LESS_THAN_CONSTANT, slot, constant)]:
            return Bound(slot, low=constant)
        case [(_Operation.GREATER_THAN_CONSTANT, slot, constant)]:
            return Bound(slot, high=constant)
    return None


def tightest(bounds: Iterable[Bound]) -> tuple[Bound, ...]:
    """Return for each slot the one bound that holds where any of its bounds does."""
    found: dict[int, Bound] = {}
    for slot, low, high in bounds:
        known = found.get(slot, Bound(slot))
        found[slot] = Bound(slot, max(low, known.low), min(high, known.high))
    return tuple(found.values())


def _compile(source: str, width: int, shared: Sequence[str]) -> list[_Instruction] | None:
    compiler = _Compiler(width, {term: width + index for index, term in enumerate(shared)})
    try:
        compiler.add(ast.parse(source, mode="eval").body)
    except _NotNative:
        return None
    return compiler.code


def _is_term(node: ast.AST) -> bool:
    """Whether this is worth to be computed once: arithmetic over the forming bar."""
    return isinstance(node, ast.BinOp | ast.Call) and any(
        isinstance(part, ast.Name) and part.id == "now" for part in ast.walk(node)
    )


def compile_closed_terms(source: str) -> Callable[[Sequence[Vector]], bool]:
    """Return the part of a condition that does not depend on the forming bar, as a function of ``past``.

    Where that does not hold (or divides by zero), neither does the condition, until the next closed bar.
    """
    terms = [
        term
        for term in _terms(ast.parse(source, mode="eval").body)
        if not any(isinstance(node, ast.Name) and node.id == "now" for node in ast.walk(term))
    ]
    joined = " and ".join(f"({ast.unparse(term)})" for term in terms) or "True"
    # Of the translator's own source again.
    return cast(Callable[[Sequence[Vector]], bool], eval(f"lambda past: {joined}", BUILTINS))  # noqa: S307


def _terms(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for value in node.values:
            yield from _terms(value)
    else:
        yield node


class _Compiler:
    def __init__(self, width: int, shared: Mapping[str, int]) -> None:
        self.code: list[_Instruction] = []
        self._width = width
        self._shared = shared
        self._depth = 0

    def add(self, node: ast.expr) -> None:
        """Add the instructions that leave the node's value on the stack."""
        slot = self._slot(node)
        if slot is not None:
            self._push(_Operation.NOW, slot)
            return
        match node:
            case ast.Constant(value=int() | float() as value):
                self._push(_Operation.CONSTANT, constant=float(value))
            case ast.Subscript(
                value=ast.Subscript(value=ast.Name("past"), slice=ast.Constant(value=int(back))),
                slice=ast.Constant(value=int(slot)),
            ):
                self._push(_Operation.PAST, back * self._width + slot)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                self._one(_Operation.NEGATE, operand)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                self.add(operand)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self._one(_Operation.NOT, operand)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _ARITHMETIC:
                self._two(_ARITHMETIC[type(operator)], left, right)
            case ast.Compare(left=left, ops=[sign], comparators=[right]) if type(sign) in _COMPARISONS:
                self._two(_COMPARISONS[type(sign)], left, right)
            case ast.Compare(left=left, ops=[sign, *signs], comparators=[middle, *rest]):
                # a < b < c, where b has no side effects.
                first = ast.Compare(left, [sign], [middle])
                self.add(ast.BoolOp(ast.And(), [first, ast.Compare(middle, signs, rest)]))
            case ast.BoolOp(op=operator, values=values):
                jump = _Operation.JUMP_IF_FALSE if isinstance(operator, ast.And) else _Operation.JUMP_IF_TRUE
                self._joined(jump, values)
            case ast.Call(func=ast.Name("abs"), args=[operand]):
                self._one(_Operation.ABSOLUTE, operand)
            case ast.Call(func=ast.Name(name), args=[first, *others]) if name in _FUNCTIONS:
                self.add(first)
                for other in others:
                    self.add(other)
                    self._emit(_FUNCTIONS[name], pops=1)
            case _:
                raise _NotNative(ast.dump(node))

    def _slot(self, node: ast.expr) -> int | None:
        """Return where the node's value stands, when it is one of the forming bar or a shared term."""
        match node:
            case ast.Subscript(value=ast.Name("now"), slice=ast.Constant(value=int(slot))):
                return slot
            case ast.BinOp() | ast.Call() if self._shared:
                return self._shared.get(ast.unparse(node))
        return None

    def _one(self, operation: _Operation, operand: ast.expr) -> None:
        self.add(operand)
        self._emit(operation)

    def _two(self, operation: _Operation, left: ast.expr, right: ast.expr) -> None:
        slot, constant = self._slot(left), _number(right)
        if slot is not None and constant is not None and operation in _WITH_CONSTANT:
            self._push(_WITH_CONSTANT[operation], slot, constant)
            return
        other = self._slot(right)
        if slot is not None and other is not None and other < _SECOND_SLOT // 2 and operation in _OF_NOW:
            self._push(_OF_NOW[operation], slot + other * _SECOND_SLOT)
            return
        self.add(left)
        self.add(right)
        self._emit(operation, pops=1)

    def _joined(self, jump: _Operation, values: list[ast.expr]) -> None:
        """Add terms of which the first that decides is the result; the jumps keep it, and go to the end."""
        jumps = []
        for value in values[:-1]:
            self.add(value)
            jumps.append(len(self.code))
            self._emit(jump, pops=1)
        self.add(values[-1])
        for at in jumps:
            self.code[at] = (jump, len(self.code), 0.0)

    def _push(self, operation: _Operation, argument: int = 0, constant: float = 0.0) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _NotNative("too deep")
        self.code.append((operation, argument, constant))

    def _emit(self, operation: _Operation, pops: int = 0) -> None:
        self._depth -= pops
        self.code.append((operation, 0, 0.0))


def _number(node: ast.expr) -> float | None:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -float(value)
    return None
