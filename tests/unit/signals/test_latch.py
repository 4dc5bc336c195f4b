from stockpipeline.api import Rule, Side
from stockpipeline.signals.latch import Latch
from stockpipeline.signals.rules import compile_rule

SLOTS = {"x": 0}


def latch(when: str = "x < 30", rearm: str | None = "x > 35", cooldown_bars: int = 0) -> Latch:
    return Latch(
        compile_rule(
            Rule(name="r", side=Side.BUY, when=when, rearm=rearm, cooldown_bars=cooldown_bars), SLOTS
        )
    )


def fires(latch: Latch, *values: float) -> list[bool]:
    """Run the latch over the values of one bar, as the detector does."""
    return [bool(latch.awaited((x,), ()) and latch.advance((x,), ())) for x in values]


def test_dithering_around_the_threshold_is_one_signal() -> None:
    assert fires(latch(), 31, 29.9, 30.1, 29.8) == [False, True, False, False]


def test_it_fires_again_only_after_it_was_armed_again_and_in_another_bar() -> None:
    tested = latch()
    assert fires(tested, 29, 36, 29) == [True, False, False]  # armed again, but in the same bar
    tested.bar_closed()
    assert fires(tested, 31, 29) == [False, True]
    tested.bar_closed()
    assert fires(tested, 29, 34, 29) == [False, False, False]  # never above 35


def test_without_rearm_it_is_armed_when_the_condition_does_not_hold() -> None:
    tested = latch(rearm=None)
    assert fires(tested, 29, 28, 31) == [True, False, False]
    tested.bar_closed()
    assert fires(tested, 29, 28) == [True, False]
    tested.bar_closed()
    assert fires(tested, 28, 28) == [False, False]


def test_one_tick_can_arm_and_fire() -> None:
    tested = latch(when="x < 30", rearm="x < 20")
    assert fires(tested, 29) == [True]
    tested.bar_closed()
    assert fires(tested, 25, 19) == [False, True]


def test_the_cooldown_counts_bars_since_the_firing() -> None:
    tested = latch(cooldown_bars=3)
    assert fires(tested, 29, 40) == [True, False]
    for _ in range(2):
        tested.bar_closed()
        assert fires(tested, 40, 29) == [False, False]
    tested.bar_closed()
    assert fires(tested, 29) == [True]


def test_a_blocked_latch_stays_armed() -> None:
    tested = latch(cooldown_bars=1)
    assert fires(tested, 29, 40, 29) == [True, False, False]
    tested.bar_closed()
    assert fires(tested, 29) == [True]
