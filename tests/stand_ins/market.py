"""A made-up market for the stand-ins: prices that walk at random, deterministic by seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta


@dataclass
class Stock:
    """One symbol's day so far."""

    symbol: str
    last: float
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    day_volume: int = 0
    last_size: int = 0

    def __post_init__(self) -> None:
        self.open = self.high = self.low = self.last


@dataclass
class Market:
    """Stocks that trade when told to; any symbol that is asked for exists, but for those in `dead`."""

    seed: int = 1
    dead: set[str] = field(default_factory=set)
    stocks: dict[str, Stock] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def stock(self, symbol: str) -> Stock | None:
        """The stock, or None where it is dead."""
        if symbol in self.dead:
            return None
        if symbol not in self.stocks:
            self.stocks[symbol] = Stock(symbol, round(20 + random.Random(symbol).random() * 400, 2))
        return self.stocks[symbol]

    def trade(self, symbol: str, price: float | None = None, size: int | None = None) -> Stock:
        """Trade a stock once."""
        stock = self.stock(symbol)
        assert stock is not None, f"{symbol} is dead"
        stock.last = (
            price if price is not None else round(max(1.0, stock.last * self._chance.gauss(1, 0.0005)), 2)
        )
        stock.last_size = size if size is not None else self._chance.randint(1, 500)
        stock.day_volume += stock.last_size
        stock.high, stock.low = max(stock.high, stock.last), min(stock.low, stock.last)
        return stock

    def days(self, symbol: str, last: date, count: int) -> list[tuple[date, float, float, float, float, int]]:
        """Weekdays up to `last`, newest first: date, open, high, low, close, volume."""
        chance = random.Random(f"{self.seed}/{symbol}/days")
        newest = date(2035, 12, 31)
        found: list[tuple[date, float, float, float, float, int]] = []
        day, close = newest, 100.0
        while len(found) < count and day.year > 2023:
            if day.weekday() < 5:
                opened = round(close * chance.gauss(1, 0.01), 4)
                high, low = round(max(opened, close) * 1.01, 4), round(min(opened, close) * 0.99, 4)
                volume = chance.randint(10_000, 1_000_000)
                if day <= last:
                    found.append((day, opened, high, low, close, volume))
                close = opened
            day -= timedelta(days=1)
        return found
