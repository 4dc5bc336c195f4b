"""What waits while Kafka's client has no room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.market.ticks import MarketSession, Tick
from stockpipeline.producer.outbox import Outbox


def tick(symbol: str, ts: int) -> Tick:
    return Tick(symbol, 1.0, 1.0, ts, "kis", MarketSession.REGULAR)


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.booleans()), max_size=200))
def test_order_holds_the_newest_wins_and_every_other_is_counted(steps: list[tuple[str, bool]]) -> None:
    sent: list[Tick] = []
    room = True

    def send(one: Tick) -> bool:
        if room:
            sent.append(one)
        return room

    outbox = Outbox(send)
    newest: dict[str, int] = {}
    for ts, (symbol, has_room) in enumerate(steps, 1):
        room = has_room
        outbox.drain()
        outbox.put(tick(symbol, ts))
        newest[symbol] = ts
        assert len(outbox) <= 3, "no more than there are symbols"
    room = True
    outbox.drain()
    assert len(outbox) == 0
    assert len(sent) + outbox.superseded["kis"] == len(steps)
    for symbol, last in newest.items():
        times = [one.ts for one in sent if one.symbol == symbol]
        assert times == sorted(times)
        assert times[-1] == last
