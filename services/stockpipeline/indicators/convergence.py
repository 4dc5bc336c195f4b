"""How far an indicator has forgotten the bar that its history happened to begin with.

A moving average over a window is exact once the window is full. An exponential one (EMA, Wilder's, and all
that is built on them: RSI, MACD, ATR, ADX, …) starts from a seed whose weight shrinks by 1 - alpha with
each bar, so its value depends on where history begins: with 30 bars, RSI(14) is off by 2 points on average.
Here the weight that the seed still has is computed, and 1 - weight is called the *confidence*: 0 at the
first value, near 1 when the indicator shows what a much longer history would.

An average of averages (MACD's signal line, TEMA, ADX) is a cascade: after each bar, stage i keeps 1 -
alpha_i of its own seed and takes alpha_i of what stage i - 1 still has, w_i <- (1 - alpha_i) w_i + alpha_i
w_(i-1), with w_0 = 0 for prices and w_i = 1 at the first value. Where a function has parallel cascades, the
slowest counts.

Adaptive averages (KAMA, MAMA, SAR, Hilbert transforms) forget at a rate that depends on prices; the alphas
here are what daily bars of liquid stocks show, and a test holds every function to it.

Cumulative functions (OBV, AD, VWAP, …) never forget their origin: their level is relative to it by
definition, so they count as converged; rules should look at their changes.
"""

from collections.abc import Callable, Mapping
from math import sqrt

CONVERGED = 0.99
"""The confidence from which an indicator may make signals."""

Parameters = Mapping[str, int | float]
Cascade = tuple[float, ...]
"""The alphas of consecutive smoothing stages, the one that reads prices first."""


class SeedWeight:
    """The weight that the seeds of an indicator still have, by bars after its first value."""

    def __init__(self, cascades: tuple[Cascade, ...]) -> None:
        self._cascades = cascades
        self._stages = [[1.0] * len(cascade) for cascade in cascades]
        self._weights = [1.0 if cascades else 0.0]

    def confidence(self, bars: int) -> float:
        """Return 1 - weight, in [0, 1], ``bars`` ≥ 0 bars after the first value."""
        while len(self._weights) <= bars and self._weights[-1] > 0.0:
            self._advance()
        return 1.0 - self._weights[min(bars, len(self._weights) - 1)]

    def bars_until(self, confidence: float) -> int:
        """Return the fewest bars after the first value that give this confidence (< 1)."""
        bars = 0
        while self.confidence(bars) < confidence:
            bars += 1
        return bars

    def _advance(self) -> None:
        for cascade, weights in zip(self._cascades, self._stages, strict=True):
            before = 0.0
            for stage, alpha in enumerate(cascade):
                before = weights[stage] = (1.0 - alpha) * weights[stage] + alpha * before
        weight = max(weights[-1] for weights in self._stages)
        self._weights.append(weight if weight > 1e-12 else 0.0)


def cascades(function: str, parameters: Parameters) -> tuple[Cascade, ...]:
    """Return the parallel smoothing cascades of a TA-Lib function; none for one that has no memory."""
    return _CASCADES.get(function, _no_memory)(parameters)


def _ema(period: int | float) -> float:
    return 2.0 / (period + 1.0)


def _wilder(period: int | float) -> float:
    return 1.0 / period


def _kaufman(period: int | float) -> float:
    """KAMA's alpha at the efficiency ratio of a random walk, 1 / sqrt(period)."""
    fast, slow = _ema(2), _ema(30)
    return float((slow + (fast - slow) / sqrt(period)) ** 2)


# Trailing stops forget all at their first reversal, which can take half a year; these rates allow for that.
_REVERSAL = 0.036
_HILBERT = 0.04
_MAMA_SLOW_LIMIT = 0.05

_MOVING_AVERAGES: Mapping[int, Callable[[int | float], Cascade]] = {
    1: lambda period: (_ema(period),),
    3: lambda period: (_ema(period),) * 2,
    4: lambda period: (_ema(period),) * 3,
    6: lambda period: (_kaufman(period),),
    7: lambda _: (_MAMA_SLOW_LIMIT,),
    8: lambda period: (_ema(period),) * 6,
    12: lambda period: (_ema(period),),
    13: lambda period: (_wilder(period),),
}
"""By TA-Lib's MA type; the others (simple, weighted, triangular, Hull, none) have no memory."""


def _average(kind: int | float, period: int | float) -> Cascade:
    make = _MOVING_AVERAGES.get(int(kind))
    return make(period) if make else ()


def _parallel(*branches: Cascade) -> tuple[Cascade, ...]:
    return tuple(branch for branch in branches if branch)


def _no_memory(_: Parameters) -> tuple[Cascade, ...]:
    return ()


def _wilder_once(p: Parameters) -> tuple[Cascade, ...]:
    return ((_wilder(p["timeperiod"]),),)


def _wilder_twice(p: Parameters) -> tuple[Cascade, ...]:
    return ((_wilder(p["timeperiod"]),) * 2,)


def _ema_times(count: int) -> Callable[[Parameters], tuple[Cascade, ...]]:
    return lambda p: ((_ema(p["timeperiod"]),) * count,)


def _fixed(alpha: float) -> Callable[[Parameters], tuple[Cascade, ...]]:
    return lambda _: ((alpha,),)


def _oscillator(p: Parameters) -> tuple[Cascade, ...]:
    return _parallel(_average(p["matype"], p["fastperiod"]), _average(p["matype"], p["slowperiod"]))


def _macd_ext(p: Parameters) -> tuple[Cascade, ...]:
    signal = _average(p["signalmatype"], p["signalperiod"])
    return _parallel(
        _average(p["fastmatype"], p["fastperiod"]) + signal,
        _average(p["slowmatype"], p["slowperiod"]) + signal,
    )


def _slow_stochastic(p: Parameters) -> tuple[Cascade, ...]:
    return _parallel(
        _average(p["slowk_matype"], p["slowk_period"]) + _average(p["slowd_matype"], p["slowd_period"])
    )


_CASCADES: Mapping[str, Callable[[Parameters], tuple[Cascade, ...]]] = {
    # Wilder's smoothing
    **dict.fromkeys(
        ("ATR", "CMO", "DX", "MINUS_DI", "MINUS_DM", "NATR", "PLUS_DI", "PLUS_DM", "RMA", "RSI", "RVI"),
        _wilder_once,
    ),
    "ADX": _wilder_twice,
    "ADXR": _wilder_twice,
    "KC": lambda p: ((_ema(p["timeperiod"]),), (_wilder(p["atrperiod"]),)),
    "STOCHRSI": lambda p: ((_wilder(p["timeperiod"]), *_average(p["fastd_matype"], p["fastd_period"])),),
    "SUPERTREND": lambda p: ((_wilder(p["timeperiod"]),), (_REVERSAL,)),
    # Exponential moving averages
    **dict.fromkeys(("EMA", "ERI", "EFI", "ZLEMA", "CVI"), _ema_times(1)),
    "DEMA": _ema_times(2),
    "TEMA": _ema_times(3),
    "TRIX": _ema_times(3),
    "T3": _ema_times(6),
    "ADOSC": lambda p: ((_ema(p["fastperiod"]),), (_ema(p["slowperiod"]),)),
    "MACD": lambda p: ((_ema(max(p["fastperiod"], p["slowperiod"])), _ema(p["signalperiod"])),),
    "MACDFIX": lambda p: ((0.075, _ema(p["signalperiod"])),),
    "MASSI": lambda p: ((_ema(p["fastperiod"]),) * 2,),
    "SMI": lambda p: ((_ema(p["fastperiod"]), _ema(p["slowperiod"]), _ema(p["signalperiod"])),),
    "TSI": lambda p: ((_ema(p["firstperiod"]), _ema(p["secondperiod"])),),
    # A moving average of the user's choice
    **dict.fromkeys(("APO", "PPO", "PVO"), _oscillator),
    **dict.fromkeys(
        ("BANDWIDTH", "BBANDS", "MA", "PERCENTB"),
        lambda p: _parallel(_average(p["matype"], p["timeperiod"])),
    ),
    "KDJ": _slow_stochastic,
    "MACDEXT": _macd_ext,
    "STOCH": _slow_stochastic,
    "STOCHF": lambda p: _parallel(_average(p["fastd_matype"], p["fastd_period"])),
    # Adaptive
    "HA": _fixed(0.5),
    **dict.fromkeys(
        ("HT_DCPERIOD", "HT_DCPHASE", "HT_PHASOR", "HT_SINE", "HT_TRENDLINE", "HT_TRENDMODE"),
        _fixed(_HILBERT),
    ),
    "KAMA": lambda p: ((_kaufman(p["timeperiod"]),),),
    "MAMA": lambda p: ((p["slowlimit"],),),
    **dict.fromkeys(("SAR", "SAREXT"), _fixed(_REVERSAL)),
}
