import subprocess
import sys
from pathlib import Path

import pytest

from stockpipeline.api import DEFAULT_INDICATORS, Indicator
from stockpipeline.indicators import catalog, generate_catalog
from stockpipeline.indicators.catalog import (
    AmbiguousName,
    BadParameter,
    Layout,
    UnknownIndicator,
    find_function,
    functions,
)


def test_the_catalogue_is_that_of_the_installed_ta_lib() -> None:
    committed = Path(catalog.__file__).with_name("talib_catalog.json").read_text()
    assert committed == generate_catalog.render(), "run: python -m stockpipeline.indicators.generate_catalog"


def test_checking_a_pipeline_needs_neither_ta_lib_nor_numpy() -> None:
    program = """
import sys
for absent in ("talib", "numpy", "pandas", "exchange_calendars"):
    sys.modules[absent] = None
from stockpipeline.api import DEFAULT_INDICATORS, DEFAULT_RULES
from stockpipeline.signals.rules import check
check(DEFAULT_INDICATORS, DEFAULT_RULES)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        ("RSI", ("x",)),
        ("MACD", ("x", "x_signal", "x_hist")),
        ("BBANDS", ("x_upper", "x_middle", "x_lower")),
        ("STOCH", ("x_slowk", "x_slowd")),
        ("AROON", ("x_down", "x_up")),
        ("MAMA", ("x", "x_fama")),
        ("HT_PHASOR", ("x_inphase", "x_quadrature")),
        ("SUPERTREND", ("x", "x_trend")),
    ],
)
def test_values_are_named_after_indicator_and_output(function: str, names: tuple[str, ...]) -> None:
    assert find_function(function).value_names("x") == names


def test_no_function_gives_two_values_of_one_name() -> None:
    for function in functions().values():
        names = function.value_names("x")
        assert len(set(names)) == len(names), function.name


def test_the_layout_of_the_default_indicators() -> None:
    assert list(Layout.of(DEFAULT_INDICATORS).slots) == [
        *("open", "high", "low", "close", "volume"),
        *("rsi14", "macd", "macd_signal", "macd_hist", "bb_upper", "bb_middle", "bb_lower"),
    ]


def test_equal_calls_share_their_values() -> None:
    layout = Layout.of(
        [
            Indicator(name="a", function="RSI"),
            Indicator(name="b", function="RSI", parameters={"timeperiod": 14}),
            Indicator(name="c", function="RSI", parameters={"timeperiod": 7}),
        ]
    )
    assert [layout.slots[name] for name in "abc"] == [5, 5, 6]
    assert len(layout.calls) == 2


@pytest.mark.parametrize(
    ("function", "near"),
    [("RSII", "RSI"), ("rsi", "RSI"), ("BBAND", "BBANDS"), ("MAVP", "MA"), ("STOCHF2", "STOCHF")],
)
def test_an_unknown_function_is_named_with_near_ones(function: str, near: str) -> None:
    with pytest.raises(UnknownIndicator, match=rf"{function}'.*did you mean .*\b{near}\b"):
        find_function(function)


def test_an_unknown_function_without_near_ones_says_where_to_look() -> None:
    with pytest.raises(UnknownIndicator, match=r"'QQQQQQ'.*https://ta-lib.org/functions/"):
        find_function("QQQQQQ")


@pytest.mark.parametrize(
    ("function", "parameters", "message"),
    [
        (
            "RSI",
            {"timeperod": 14},
            r"RSI has no parameter 'timeperod'; did you mean timeperiod\?; it has timeperiod",
        ),
        ("RSI", {"timeperiod": 1}, "RSI: timeperiod must be a whole number from 2 to 100000, not 1"),
        ("RSI", {"timeperiod": 14.5}, "must be a whole number"),
        ("RSI", {"timeperiod": True}, "must be a whole number"),
        ("RSI", {"timeperiod": float("nan")}, "must be a whole number"),
        ("BBANDS", {"matype": 14}, "matype must be a whole number from 0 to 13"),
        ("BBANDS", {"nbdevup": float("inf")}, "nbdevup must be a number"),
        ("MAMA", {"fastlimit": 1}, "fastlimit must be a number from 0.01 to 0.99"),
        ("OBV", {"timeperiod": 14}, "OBV has no parameter 'timeperiod'; it has none"),
    ],
)
def test_a_bad_parameter_is_named(function: str, parameters: dict[str, float], message: str) -> None:
    with pytest.raises(BadParameter, match=message):
        find_function(function).complete(parameters)


def test_parameters_are_completed_in_their_own_types() -> None:
    complete = find_function("BBANDS").complete({"timeperiod": 20.0, "nbdevup": 3})
    assert complete == {"timeperiod": 20, "nbdevup": 3.0, "nbdevdn": 2.0, "matype": 0}
    assert [type(value) for value in complete.values()] == [int, float, float, int]


def test_errors_name_the_indicator() -> None:
    with pytest.raises(UnknownIndicator, match=r"^indicator 'fast': TA-Lib has no function 'RSX'"):
        Layout.of([Indicator(name="fast", function="RSX")])


def test_two_indicators_cannot_give_one_name() -> None:
    with pytest.raises(AmbiguousName, match="indicator 'macd_signal': another one already gives"):
        Layout.of([Indicator(name="macd", function="MACD"), Indicator(name="macd_signal", function="RSI")])
