"""A day of trading made up from one daily bar: a path that gives exactly that bar back.

The path begins at the open at the session's start, touches high and low somewhere in between, and ends at
the close at the session's end. Between those four prices it is a random walk, tied down at them (a Brownian
bridge), reflected at low and high. Volumes are whole numbers that add up to the bar's.

It is a function of (seed, symbol, bar, session times, count) alone: not of other symbols, nor of where a
replay begins. Randomness is the raw output of PCG64, which numpy keeps the same in all versions (unlike the
distributions that it makes from it).
"""

from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stockpipeline.market.bars import Bar

FEWEST_TICKS = 4
FEWEST_MS_PER_TICK = 10
PRICE_DECIMALS = 4
_ROUGHNESS = 0.6
"""Standard deviation of the free walk over the session, in ranges (high - low): the range of a Brownian
motion is 1.6 of its standard deviations."""

Floats = NDArray[np.float64]


class Path(NamedTuple):
    """The ticks of a session, oldest first: columns of equal length."""

    ts: list[int]
    """Event times in epoch ms, strictly increasing."""
    prices: list[float]
    volumes: list[float]


def bridge(bar: Bar, symbol: str, opens_ms: int, closes_ms: int, count: int, seed: int) -> Path:
    """Return ``count`` ticks that make up ``bar``; raise ``ValueError`` for fewer than 4 or too many."""
    most = (closes_ms - opens_ms) // FEWEST_MS_PER_TICK
    if not FEWEST_TICKS <= count <= most:
        raise ValueError(f"a session can have {FEWEST_TICKS} to {most} ticks, not {count}")
    random = _Random(f"{seed}/{symbol}/{bar.session}")
    return Path(
        ts=_times(random, opens_ms, closes_ms, count),
        prices=_prices(random, bar, count),
        volumes=_volumes(random, bar.volume, count),
    )


class _Random:
    """Uniform numbers that depend on a text and nothing else."""

    def __init__(self, text: str) -> None:
        self._bits = np.random.PCG64(int.from_bytes(blake2b(text.encode(), digest_size=16).digest()))

    def uniform(self, count: int) -> Floats:
        """Return numbers in [0, 1) of 53 random bits each."""
        raw = np.asarray(self._bits.random_raw(count), dtype=np.uint64)
        return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _times(random: _Random, opens_ms: int, closes_ms: int, count: int) -> list[int]:
    """Spread the ticks over the session: one in each of equal parts, the first and the last at its ends."""
    part = (closes_ms - opens_ms) / (count - 1)
    # A tenth of a part stays free, so that two ticks never meet in one millisecond.
    offsets = np.floor((np.arange(count) + 0.9 * random.uniform(count)) * part)
    times = (opens_ms + offsets.astype(np.int64)).tolist()
    return [opens_ms, *times[1:-1], closes_ms]


def _prices(random: _Random, bar: Bar, count: int) -> list[float]:
    """Walk from open to close by way of high and low, in an order and at times that are drawn."""
    first, second = sorted(_two_of(random, count - 2))
    up_first = bool(random.uniform(1)[0] < 0.5)
    anchors = [0, 1 + first, 1 + second, count - 1]
    extremes = (bar.high, bar.low) if up_first else (bar.low, bar.high)
    anchor_prices = [bar.open, *extremes, bar.close]

    steps = np.arange(count)
    deviation = np.sqrt(12.0 / count) * _ROUGHNESS * (bar.high - bar.low)
    walk = np.cumsum((random.uniform(count) - 0.5) * deviation)
    tied = walk - np.interp(steps, anchors, walk[anchors])
    prices = np.interp(steps, anchors, anchor_prices) + tied
    # Reflected at low and high, where cutting off would leave the path lying on them.
    prices = bar.high - np.abs(bar.high - (bar.low + np.abs(prices - bar.low)))
    prices = np.clip(np.round(prices, PRICE_DECIMALS), bar.low, bar.high)
    prices[anchors] = anchor_prices
    values: list[float] = prices.tolist()
    return values


def _two_of(random: _Random, count: int) -> tuple[int, int]:
    """Draw two different numbers below ``count``."""
    one, other = random.uniform(2)
    first = int(one * count)
    second = int(other * (count - 1))
    return first, second + (second >= first)


def _volumes(random: _Random, volume: float, count: int) -> list[float]:
    """Cut the bar's volume at whole numbers."""
    shares = np.cumsum(0.1 + random.uniform(count))
    ends = np.floor(shares / shares[-1] * volume)
    ends[-1] = volume
    volumes: list[float] = np.diff(ends, prepend=0.0).tolist()
    return volumes
