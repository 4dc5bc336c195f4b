"""How fast frames are decoded, ticks pass the fallback chain, and what a review of it costs."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.ticks import MarketSession, Tick
from stockpipeline.sources.chain import Chain, SourceTerms
from stockpipeline.sources.kis.frames import TradeDecoder
from stockpipeline.sources.kis.keys import registration
from stockpipeline.sources.session_kind import SessionKind
from tests.stand_ins.kis import trade_record
from tests.stand_ins.market import Market

_RECORDS_A_FRAME = 4


def decode_rate(calendar: SessionCalendar, records: int) -> float:
    """Return records per second: 41 symbols, four records a frame, times that go on."""
    market = Market()
    known = {one.key: one for one in (registration(f"S{number:02}", "XNAS") for number in range(41))}
    at = datetime(2024, 12, 27, 15, tzinfo=UTC)
    frames = []
    for number in range(2_000):
        some = [
            trade_record(one.key, market.trade(one.symbol), at + timedelta(seconds=number // 20))
            for one in list(known.values())[number % 41 :][:_RECORDS_A_FRAME]
        ]
        frames.append(f"0|HDFSCNT0|{len(some):03d}|{'^'.join(some)}")
    decoder = TradeDecoder("kis", known, SessionKind(calendar))
    done = 0
    began = time.perf_counter()
    while done < records:
        for frame in frames:
            decoded = decoder.decode(frame)
            done += len(decoded.ticks)
    return done / (time.perf_counter() - began)


def chain_rate(calendar: SessionCalendar, symbols: int, ticks: int) -> float:
    """Return ticks per second through the chain, with the reviews that belong to 5,000 of them a second."""
    names = [f"S{number}" for number in range(symbols)]
    now = 1735311600000
    terms = [SourceTerms("kis", 60_000), SourceTerms("yahoo", 120_000)]
    chain = Chain(names, terms, calendar.trading_ms, now)
    made = [Tick(name, 1.0, 1.0, now, "kis", MarketSession.REGULAR) for name in names]
    began = time.perf_counter()
    for number in range(ticks):
        chain.offer(made[number % symbols], now)
        if number % 5000 == 0:
            chain.review(now)
            chain.states(now)
    return ticks / (time.perf_counter() - began)


def review_cost(calendar: SessionCalendar, symbols: int, rounds: int) -> float:
    """Return the microseconds for each symbol of what is done once a second: a review, and all states."""
    now = 1735311600000
    terms = [SourceTerms("kis", 60_000), SourceTerms("yahoo", 120_000)]
    chain = Chain([f"S{number}" for number in range(symbols)], terms, calendar.trading_ms, now)
    began = time.perf_counter()
    for number in range(rounds):
        chain.review(now + number)
        chain.states(now + number)
    return (time.perf_counter() - began) / rounds / symbols * 1e6
