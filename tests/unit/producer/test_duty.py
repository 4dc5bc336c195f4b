"""Several producers on one table, in a made-up time with any failures: no symbol ever has two senders."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from stockpipeline.producer.share.beats import GRACE_SECONDS, LEASE_SECONDS, LET_GO_SECONDS
from stockpipeline.producer.share.duty import Duty, Member, Table
from stockpipeline.producer.share.units import units

UNITS = units([f"S{number}" for number in range(12)], ())
STEP = 0.1


@dataclass
class FakeTable:
    """What the script does in Redis."""

    made_at: float = 0.0
    epoch: int = 1
    leases: dict[str, tuple[float, int]] = field(default_factory=dict)

    def beat(self, name: str, seen: int, now: float) -> Table:
        changed = name not in self.leases
        self.leases[name] = (now + LEASE_SECONDS, seen)
        for other, (ends, _seen) in list(self.leases.items()):
            if ends + GRACE_SECONDS <= now:
                del self.leases[other]
                changed = True
        self.epoch += changed
        members = [Member(other, saw) for other, (_ends, saw) in self.leases.items()]
        quiet = self.made_at + LEASE_SECONDS + GRACE_SECONDS - now
        return Table(self.epoch, max(0.0, quiet), members)

    def leave(self, name: str) -> None:
        if self.leases.pop(name, None):
            self.epoch += 1


@dataclass
class Producer:
    """A producer: its duty, and what it does with orders. `now` is the world's time, its clock differs."""

    duty: Duty
    clock_offset: float
    sends: set[str] = field(default_factory=set)
    next_beat: float = 0.0
    frozen_until: float = 0.0
    cut_off_until: float = 0.0
    kafka_slow_until: float = 0.0
    lost_at: float | None = None
    ended: bool = False

    def sending(self, now: float) -> set[str]:
        """What goes out: nothing while it is frozen, nor without a lease, whatever the loop does then."""
        runs = now >= self.frozen_until and self.duty.holds(now + self.clock_offset)
        return self.sends if runs else set()

    def step(self, table: FakeTable, now: float) -> None:
        if now < self.frozen_until:
            return
        mine = now + self.clock_offset
        if now >= self.next_beat and now >= self.cut_off_until:
            self.duty.heard(table.beat(self.duty.name, self.duty.seen, now), mine - STEP, mine)
            self.next_beat = now + (0.5 if self.duty.unsettled(mine) is None else 0.1)
        order = self.duty.order(mine)
        if order.leave:
            self.sends -= order.leave
            if now >= self.kafka_slow_until:
                self.duty.left(order.leave)
                self.lost_at = None
            elif not self.duty.holds(mine):
                self.lost_at = self.lost_at or mine
                self.ended = mine - self.lost_at >= LET_GO_SECONDS
        self.sends |= order.take


@pytest.mark.parametrize("seed", range(25))
def test_no_symbol_has_two_senders_whatever_fails(seed: int) -> None:
    chance = random.Random(seed)
    table, producers, made = FakeTable(), [], 0
    now, calm_at = 0.0, 60.0

    def add() -> None:
        nonlocal made
        made += 1
        duty = Duty(f"p{made}", UNITS, LEASE_SECONDS)
        producers.append(Producer(duty, chance.uniform(-1e6, 1e6), next_beat=now))

    def dies(one: Producer) -> None:
        producers.remove(one)

    def freezes(one: Producer) -> None:
        one.frozen_until = now + chance.uniform(0.5, 15)

    def is_cut_off(one: Producer) -> None:
        one.cut_off_until = now + chance.uniform(0.5, 15)

    def waits_for_kafka(one: Producer) -> None:
        one.kafka_slow_until = now + chance.uniform(0.5, 10)

    def stops(one: Producer) -> None:
        if now >= one.frozen_until:
            table.leave(one.duty.name)
            producers.remove(one)

    def redis_forgets(_one: Producer) -> None:
        nonlocal table
        table = FakeTable(now, table.epoch + 1000)

    for _ in range(chance.randint(1, 4)):
        add()
    while now < calm_at + 30.0:
        now += STEP
        if now < calm_at and chance.random() < 0.03:
            happens = chance.choice([dies, freezes, is_cut_off, waits_for_kafka, stops, redis_forgets])
            if producers:
                happens(chance.choice(producers))
            while not producers or (len(producers) < 5 and chance.random() < 0.4):
                add()
        for one in chance.sample(producers, len(producers)):
            one.step(table, now)
            sent = [unit for other in producers for unit in other.sending(now)]
            assert len(sent) == len(set(sent)), f"at {now:.2f}: {sorted(sent)}"
        producers[:] = [one for one in producers if not one.ended]
        if not producers:
            add()
    assert sorted(unit for one in producers for unit in one.sends) == sorted(UNITS.symbols)


def test_who_waits_for_a_share_does_not_stand_by() -> None:
    table, which = FakeTable(), units(["S0"], ())
    both = [Producer(Duty(name, which, LEASE_SECONDS), 0.0) for name in ("p0", "p1")]
    stood_by: set[str] = set()
    now = 0.0
    while now < 2 * (LEASE_SECONDS + GRACE_SECONDS):
        now += STEP
        for one in both:
            stood_by |= {each.duty.name for each in both if each.duty.stands_by(now)}
            one.step(table, now)
    assert stood_by == {one.duty.name for one in both if not one.sends}
    assert len(stood_by) == 1


def test_a_death_moves_its_symbols_in_less_than_ten_seconds() -> None:
    table = FakeTable()
    producers = [Producer(Duty(f"p{number}", UNITS, LEASE_SECONDS), 0.0) for number in range(3)]
    now = 0.0
    while sum(len(one.sends) for one in producers) < len(UNITS.symbols):
        now += STEP
        for one in producers:
            one.step(table, now)
    victim = max(producers, key=lambda one: len(one.sends))
    assert victim.sends
    producers.remove(victim)
    died_at = now
    kept = {one.duty.name: set(one.sends) for one in producers}
    while sum(len(one.sends) for one in producers) < len(UNITS.symbols):
        now += STEP
        for one in producers:
            one.step(table, now)
            assert kept[one.duty.name] <= one.sends, "survivors go on with what they have"
    assert now - died_at < LEASE_SECONDS + GRACE_SECONDS + 1.2
