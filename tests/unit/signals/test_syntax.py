import ast
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.api import BAR_FIELDS, RULE_FUNCTIONS
from stockpipeline.signals.syntax import MAX_BARS_BACK, MAX_CHARACTERS, Kind, Read, RuleError, translate

NAMES = (*BAR_FIELDS, "rsi14", "macd", "macd_signal")
SLOTS = {name: slot for slot, name in enumerate(NAMES)}
NOW = (10.0, 12.0, 9.0, 11.0, 1000.0, 28.0, 0.5, 0.4)
PAST = ((9.0, 11.0, 8.0, 10.0, 900.0, 31.0, 0.3, 0.4), (8.0, 10.0, 7.0, 9.0, 800.0, 35.0, 0.2, 0.4))


def value(text: str) -> object:
    """Evaluate the translation the way rules do."""
    source = translate(text, SLOTS).source
    return eval(f"lambda now, past: {source}", {"__builtins__": {"abs": abs, "min": min, "max": max}})(
        NOW, PAST
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rsi14 < 30", True),
        ("rsi14 < 30 and close < open", False),
        ("rsi14 < 30 and not close < open", True),
        ("close < open or volume >= 1000", True),
        ("20 < rsi14 <= 28.0 != 3", True),
        ("prev(rsi14) < 30", False),
        ("prev(close, 2)", 9.0),
        ("prev(prev(close))", 9.0),
        ("prev(close - open)", 1.0),
        ("prev(rsi14 < 32, 1)", True),
        ("crosses_above(macd, macd_signal)", True),
        ("crosses_above(macd_signal, macd)", False),
        ("crosses_below(macd_signal, macd)", True),
        ("prev(crosses_above(macd, macd_signal))", False),
        ("crosses_below(rsi14, 30)", True),
        ("(close - prev(close)) / prev(close) * 100", 10.0),
        ("abs(-rsi14)", 28.0),
        ("min(close, open, 3) + max(close, open)", 14.0),
        ("-close + +close", 0.0),
        ("7 / 2 - 1", 2.5),
        ("  close\n  > 1\t", True),
    ],
)
def test_what_expressions_mean(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("rs14 < 30", r"unknown name 'rs14'; did you mean rsi14\?", 1),
        ("close > qqqq", "unknown name 'qqqq'; there are open, high, low", 9),
        ("close + (rsi14 > 3) > 2", "expected a number here, this is a condition", 10),
        ("rsi14 < 30 and close", "expected a condition here, this is a number", 16),
        ("not close", "expected a condition here", 5),
        ("rsi14 < 30 && close > 1", "not an expression: invalid syntax", 13),
        ("rsi14 <", "not an expression: it ends too early", 8),
        ("", "not an expression", 1),
        ("   ", "not an expression", 1),
        ("  rsi14 < 30 and ", "it ends too early", 17),
        ("(close > 1", r"'\(' was never closed", 1),
        ("close = 3", "not an expression", None),
        ("close; open", "not an expression", None),
        ("close ** 2 > 1", r"\*\* is not part of the rule language; there are \+ - \* /", 1),
        ("close % 2 > 1", "% is not part", 1),
        ("close // 2 > 1", "// is not part", 1),
        ("1 << 99 > 1", "is not part", 1),
        ("rsi14 < 30 & close > 1", "& .write and. is not part", 9),
        ("close in open", "in is not part", 1),
        ("close is open", "is is not part", 1),
        ("close if open else low", "if … else is not part", 1),
        ("(lambda: 1)() > 1", "only functions have arguments; there are prev", 1),
        ("lambda: 1", "lambda is not part", 1),
        ("close.real > 1", "a dot after a name is not part", 1),
        ("close[0] > 1", "after a name is not part", 1),
        ("[close] > 1", "a list is not part", 1),
        ("(close, open) > 1", "a list of values is not part", 1),
        ("f'{close}' > 1", "a text is not part", 1),
        ("'close' > 1", "'close' is not a number", 1),
        ("True", "True is not a number", 1),
        ("None > 1", "None is not a number", 1),
        ("1j > 1", "1j is not a number", 1),
        ("1e999 > 1", "the number is too large", 1),
        ("9" * 400 + " > 1", "the number is too large", 1),
        ("(close := 1) > 1", ":= is not part", 2),
        ("abs > 1", "abs is a function", 1),
        ("abs(1, 2) > 1", r"write abs\(value\)", 1),
        ("min(1) > 1", r"write min\(a, b, …\)", 1),
        ("max(*close) > 1", r"write max\(a, b, …\)", 1),
        ("prev() > 1", r"write prev\(value\)", 1),
        ("prev(close, 0) > 1", r"bars are a whole number from 1", 1),
        ("prev(close, -1) > 1", r"bars are a whole number from 1", 1),
        ("prev(close, 1.5) > 1", r"bars are a whole number from 1", 1),
        ("prev(close, True) > 1", r"bars are a whole number from 1", 1),
        ("prev(close, rsi14) > 1", r"bars are a whole number from 1", 1),
        ("prev(close, n=1) > 1", "by position", 1),
        (f"prev(close, {MAX_BARS_BACK + 1}) > 1", "looks back at most 50 bars", 1),
        (f"prev(prev(close, {MAX_BARS_BACK})) > 1", "looks back at most 50 bars", 6),
        ("crosses_above(close) > 1", r"write crosses_above\(a, b\)", 1),
        ("cross_above(close, open)", r"unknown function 'cross_above'; did you mean crosses_above", 1),
        ("__import__('os')", "unknown function '__import__'; there are prev", 1),
        ("close.__class__.__base__.__subclasses__()", "only functions have arguments", 1),
        ("  closee > 1", "unknown name 'closee'", 3),
        ("close > 1or close < 2", "not an expression", None),
        ("clöse > 1", "the character 'ö' is not part", 3),
        ("close\0 > 1", "is not part of the rule language", 6),
        ("close > 1 " + " " * 600, "at most 512 characters", 512),
    ],
)
def test_what_is_refused_and_how_it_is_said(text: str, message: str, column: int | None) -> None:
    with pytest.raises(RuleError, match=message) as refused:
        translate(text, SLOTS)
    assert column in (None, refused.value.column)
    assert f"(column {refused.value.column})" in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ["(" * 250 + "close" + ")" * 250, "-" * 500 + "1", "not " * 120 + "close", "abs(" * 80 + "1" + ")" * 80],
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(RuleError, match=r"nested|too many"):
        translate(text, SLOTS)


@pytest.mark.parametrize("text", ["+".join(["close"] * 60), "-" * 60 + "1", "abs(" * 60 + "1" + ")" * 60])
def test_what_is_just_short_enough_can_be_evaluated(text: str) -> None:
    assert isinstance(value(text), float)


def test_reads_say_which_values_of_which_bars() -> None:
    translation = translate("crosses_above(macd, 1) and prev(close, 3) > open", SLOTS)
    assert translation.reads == {Read(6, 0), Read(6, 1), Read(3, 3), Read(0, 0)}
    assert translation.kind is Kind.CONDITION


words = st.sampled_from([*NAMES, *RULE_FUNCTIONS, "and", "or", "not", "if", "else", "lambda", "2.5", "1e308"])
marks = st.text("01 ()+-*/%<>=!,.[]:'\"\\#`\n", min_size=1, max_size=2)


@given(
    st.text(max_size=60)
    | st.lists(words | marks, max_size=25).map(" ".join)
    | st.lists(words | marks, max_size=25).map("".join)
)
def test_any_text_is_an_expression_or_a_rule_error(text: str) -> None:
    try:
        translation = translate(text, SLOTS)
        result = value(text)
    except (RuleError, ZeroDivisionError):
        return
    assert isinstance(result, bool if translation.kind is Kind.CONDITION else float)


@given(
    st.text(max_size=120)
    | st.text(st.characters(max_codepoint=127), max_size=600)
    | st.binary(max_size=60).map(lambda data: data.decode("latin-1"))
    | st.lists(words | marks, max_size=60).map("".join)
)
def test_whatever_is_translated_is_of_the_grammar(text: str) -> None:
    """What comes out is comparisons and arithmetic over the two vectors, of bounded size; nothing else."""
    translation, column = None, 0
    try:
        translation = translate(text, SLOTS)
    except RuleError as error:
        column = error.column
    if translation is None:
        assert 1 <= column <= max(len(text), MAX_CHARACTERS) + 1
        return
    assert len(translation.source) <= 50 * MAX_CHARACTERS
    tree = ast.parse(translation.source, mode="eval")
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=value, slice=ast.Constant(value=int())):
                assert isinstance(value, ast.Subscript) or (
                    isinstance(value, ast.Name) and value.id in ("now", "past")
                )
            case ast.Name():
                assert node.id in ("now", "past", "abs", "min", "max")
            case ast.Call(func=ast.Name(id=name), keywords=[]):
                assert name in ("abs", "min", "max")
            case ast.Constant():
                assert isinstance(node.value, int | float)
            case _:
                assert isinstance(node, GRAMMAR), ast.dump(node)
    assert all(read.bars_back <= MAX_BARS_BACK for read in translation.reads)


GRAMMAR = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.operator, ast.unaryop, ast.boolop,
    ast.cmpop, ast.expr_context,
)  # fmt: skip


numbers = st.recursive(
    st.sampled_from([*NAMES, "1", "2.5", "30", "prev(close)", "prev(rsi14, 2)"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({' '.join(t)})"),
        inner.map(lambda text: f"-{text}"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
    ),
    max_leaves=8,
)


@given(numbers)
def test_a_number_is_what_python_makes_of_it(text: str) -> None:
    def prev(name: str, bars: int = 1) -> float:
        return PAST[bars - 1][SLOTS[name]]

    python = text.replace("prev(close", "prev('close'").replace("prev(rsi14", "prev('rsi14'")
    names = {**dict(zip(NAMES, NOW, strict=True)), "prev": prev, "min": min, "max": max}
    try:
        expected = float(eval(python, {"__builtins__": {}}, names))
    except ZeroDivisionError:
        with pytest.raises(ZeroDivisionError):
            value(text)
        return
    assert value(text) == expected
    assert isfinite(expected)
