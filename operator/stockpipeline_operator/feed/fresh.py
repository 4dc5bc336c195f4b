"""Whether data are fresh. Pure.

The status is written when the reason changes, not with every tick: a message may tell of the moment when that
was, and stays.
"""

import datetime
from dataclasses import dataclass

from stockpipeline.api import ReplaySource, StockPipelineSpec
from stockpipeline.market.exchange_hours import ExchangeHours, OutOfTable
from stockpipeline_operator.feed.judgement import Judgement
from stockpipeline_operator.feed.readings import Reading

PATIENCE = datetime.timedelta(minutes=5)
_SESSION_SECONDS = 6.5 * 3600
_MINUTE = "%Y-%m-%d %H:%M"


@dataclass(frozen=True)
class Followed:
    """What is known of a pipeline's newest tick."""

    reading: Reading
    moved_at: datetime.datetime
    """When the newest event time was seen to change last, by the wall clock."""


def judge_freshness(spec: StockPipelineSpec, followed: Followed | None, now: datetime.datetime) -> Judgement:
    """Judge on the pipeline's own clock: a replay's is the replay, any other's is its exchange's.

    `followed` is None where the producer never answered.
    """
    if followed is None:
        return Judgement(None, "ProducerSilent", "the producer has not answered yet")
    if followed.reading.event_time is None:
        return Judgement(False, "NoTicks", "the producer has sent no tick yet")
    replay = spec.sources[0].replay
    if replay is not None:
        return _of_replay(replay, len(spec.universe.symbols), followed, now)
    try:
        return _of_exchange(ExchangeHours.of(spec.universe.exchange.value), followed.reading.event_time, now)
    except OutOfTable as error:
        return Judgement(None, "HoursUnknown", str(error))


def _of_replay(replay: ReplaySource, symbols: int, followed: Followed, now: datetime.datetime) -> Judgement:
    newest = followed.reading.event_time
    if followed.reading.exhausted:
        message = f"the replay has played all of its data, up to {newest:%Y-%m-%d}; nothing newer will come"
        return Judgement(True, "ReplayExhausted", message)
    if now - followed.moved_at <= max(PATIENCE, 3 * tick_distance(replay, symbols)):
        return Judgement(True, "ReplayRunning", "ticks come, at the replay's own time and pace")
    message = (
        f"no tick has come since {followed.moved_at:{_MINUTE}} UTC; "
        f"the newest is of {newest:{_MINUTE}} in the replay"
    )
    return Judgement(False, "ReplayStands", message)


def tick_distance(replay: ReplaySource, symbols: int) -> datetime.timedelta:
    """The usual time between two ticks of a replay, by the wall clock."""
    if replay.speed == 0:
        return datetime.timedelta(0)
    seconds = _SESSION_SECONDS / replay.ticks_per_bar / max(1, symbols) / replay.speed
    return datetime.timedelta(seconds=seconds)


def _of_exchange(hours: ExchangeHours, newest: datetime.datetime, now: datetime.datetime) -> Judgement:
    session = hours.session_at(now)
    if session is None:
        closed = hours.last_close(now)
        if newest >= closed - PATIENCE:
            return Judgement(True, "ExchangeClosed", "the data reach the exchange's last close")
        message = f"at {now:{_MINUTE}} UTC the data ended at {newest:{_MINUTE}}, before the last close"
        return Judgement(False, "Stale", message)
    if now - max(newest, session.opens) <= PATIENCE:
        return Judgement(True, "Current", "ticks come, and the exchange is open")
    message = f"at {now:{_MINUTE}} UTC, with the exchange open, the newest tick was of {newest:{_MINUTE}}"
    return Judgement(False, "Stale", message)
