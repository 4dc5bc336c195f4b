"""Conditions for the native path against Python's evaluation of them."""

import math
from array import array

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stockpipeline.api import Rule, Side
from stockpipeline.signals.program import (
    Bound,
    compile_bound,
    compile_closed_terms,
    compile_program,
    shared_in,
    shared_terms,
    tightest,
)
from stockpipeline.signals.rules import compile_rule

NAMES = ("a", "b", "c", "d", "e")
SLOTS = {name: slot for slot, name in enumerate(NAMES)}

numbers = st.recursive(
    st.one_of(
        st.sampled_from([*NAMES, "0", "1", "2.5", "1000"]),
        st.builds("prev({}, {})".format, st.sampled_from(NAMES), st.integers(1, 2)),
    ),
    lambda terms: st.one_of(
        st.builds("({} {} {})".format, terms, st.sampled_from("+-*/"), terms),
        st.builds("(-{})".format, terms),
        st.builds("abs({})".format, terms),
        st.builds("{}({}, {}, {})".format, st.sampled_from(["min", "max"]), terms, terms, terms),
    ),
    max_leaves=5,
)
signs = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
conditions = st.recursive(
    st.one_of(
        st.builds("({} {} {})".format, numbers, signs, numbers),
        st.builds("({} {} {} {} {})".format, numbers, signs, numbers, signs, numbers),
        st.builds("crosses_{}({}, {})".format, st.sampled_from(["above", "below"]), numbers, numbers),
    ),
    lambda terms: st.one_of(
        st.builds("({} {} {})".format, terms, st.sampled_from(["and", "or"]), terms),
        st.builds("(not {})".format, terms),
    ),
    max_leaves=5,
)
values = st.one_of(st.sampled_from([0.0, 1.0, -1.0, 2.5]), st.floats(-1e6, 1e6))
vectors = st.lists(values, min_size=5, max_size=5).map(tuple)


@settings(max_examples=150)
@given(conditions, vectors, st.lists(vectors, min_size=3, max_size=3))
def test_a_program_holds_where_the_condition_does(
    text: str, now: tuple[float, ...], past: list[tuple[float, ...]]
) -> None:
    assume(len(text) <= 512)
    rule = compile_rule(Rule(name="tested", side=Side.BUY, when=text), SLOTS)
    program = compile_program(rule.when_source, width=5)
    assert program is not None
    flat = array("d", [value for vector in past for value in vector]).tobytes()
    found = program.value(array("d", now).tobytes(), flat) == 1.0
    try:
        expected = rule.when(now, past)
    except ZeroDivisionError:
        expected = False
    assert found is expected
    possible = compile_closed_terms(rule.when_source)
    if expected:
        assert possible(past)


def test_overflow_is_infinity() -> None:
    program = compile_program("(now[0] * now[1]) > 1e308", width=2)
    assert program is not None
    assert program.value(array("d", [1e200, 1e200]).tobytes(), b"") == 1.0
    assert program.value(array("d", [math.nan, 1.0]).tobytes(), b"") == 0.0


@pytest.mark.parametrize("source", ["now[0] ** 2 > 1", "round(now[0]) > 1", "now[0] if now[1] else now[2]"])
def test_what_programs_do_not_have_gives_none(source: str) -> None:
    assert compile_program(source, width=5) is None


def test_a_condition_that_is_too_deep_gives_none() -> None:
    assert compile_program("(" * 80 + "now[0]" + " + (now[0]" * 80 + ")" * 160 + " > 0", width=1) is None


def test_the_terms_of_closed_bars_decide_what_is_possible() -> None:
    possible = compile_closed_terms("(past[0][0] < past[0][1] and now[0] > now[1]) and now[2] > 0")
    assert possible([(1.0, 2.0)])
    assert not possible([(2.0, 1.0)])
    assert compile_closed_terms("past[0][0] < 1 or now[0] > 1")([(5.0,)])


@settings(max_examples=100)
@given(st.lists(conditions, min_size=2, max_size=4), vectors, st.lists(vectors, min_size=3, max_size=3))
def test_shared_terms_change_no_condition(
    texts: list[str], now: tuple[float, ...], past: list[tuple[float, ...]]
) -> None:
    assume(all(len(text) <= 256 for text in texts))
    # Each condition twice, once with something in front: everything in it is shared then.
    texts += [f"a > -5000000 and {text}" for text in texts]
    rules = [compile_rule(Rule(name="tested", side=Side.BUY, when=text), SLOTS) for text in texts]
    shared = shared_terms([rule.when_source for rule in rules])
    flat = array("d", [value for vector in past for value in vector]).tobytes()
    terms = []
    for term in shared:
        program = compile_program(term, width=5)
        assert program is not None
        terms.append(program.value(array("d", now).tobytes(), flat))
    for rule in rules:
        program = compile_program(rule.when_source, 5, shared)
        assert program is not None
        found = program.value(array("d", [*now, *terms]).tobytes(), flat) == 1.0
        try:
            expected = rule.when(now, past)
        except ZeroDivisionError:
            # Where it is divided by zero in Python, a tick may be left to Python without need.
            continue
        assert found is expected


def test_the_largest_common_terms_are_shared() -> None:
    score = "(2.0 * max(now[0], (now[1] - 1.0)))"
    sources = [f"({score} > 1.0)", f"({score} < (-1.0))", "((now[1] - 1.0) > past[0][1])"]
    shared = shared_terms(sources)
    assert set(shared) == {"2.0 * max(now[0], now[1] - 1.0)", "now[1] - 1.0"}
    assert [len(shared_in(source, shared)) for source in sources] == [2, 2, 1]


@pytest.mark.parametrize(
    ("source", "bound"),
    [
        ("now[2] < 30", Bound(2, low=30.0)),
        ("now[2] > -1.5", Bound(2, high=-1.5)),
        ("(now[0] + now[1]) > 0.1", Bound(5, high=0.1)),
        ("now[2] <= 30", None),
        ("now[2] < now[1]", None),
        ("now[2] < 30 and now[1] > 2", None),
        ("past[0][2] < 30", None),
    ],
)
def test_a_comparison_with_a_constant_is_a_bound(source: str, bound: Bound | None) -> None:
    assert compile_bound(source, 5, ["now[0] + now[1]"]) == bound


def test_of_the_bounds_of_a_value_the_tightest_are_left() -> None:
    bounds = [
        Bound(1, low=20.0),
        Bound(2, high=7.0),
        Bound(1, low=30.0),
        Bound(1, high=70.0),
        Bound(1, high=80.0),
    ]
    assert sorted(tightest(bounds)) == [Bound(1, 30.0, 70.0), Bound(2, high=7.0)]
