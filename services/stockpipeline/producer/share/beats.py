"""Keeps this producer's lease, in a thread of its own: a main loop that is busy does not lose it."""

import threading
import time
from types import TracebackType
from typing import Self
from uuid import uuid4

import structlog

from stockpipeline.adapters.member_table import MemberTable, TableUnavailable
from stockpipeline.producer.share.duty import Duty, Member, Order, Table
from stockpipeline.producer.share.units import Units
from stockpipeline.runtime.health import Readiness

# A death costs at most the lease, the grace, and the moments in which the others agree: less than 10 s.
LEASE_SECONDS = 4.0
GRACE_SECONDS = 1.5
LET_GO_SECONDS = 1.0
"""How long Kafka may take to acknowledge what is left, once the lease is over: less than the grace."""
_BEAT_SECONDS = 0.5
# While producers wait for each other.
_SOON_SECONDS = 0.1
_TIMEOUT_SECONDS = 1.0
CHECK = "share"
"""The readiness check."""
_log = structlog.get_logger()


class Beats:
    """The share of one producer, kept up to date.

    The main loop asks for `order` at least twice a second, and before anything is sent whether it still
    `holds` the lease.
    """

    def __init__(self, url: str, key: str, instance: str, which: Units, readiness: Readiness) -> None:
        self._table = MemberTable(
            url, key, int(LEASE_SECONDS * 1000), int(GRACE_SECONDS * 1000), _TIMEOUT_SECONDS
        )
        # A process that comes again under its name must not go by what the one before had promised.
        self._duty = Duty(f"{instance}/{uuid4().hex[:8]}", which, LEASE_SECONDS)
        self._readiness = readiness
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ended = False
        self._settled = False
        self._thread = threading.Thread(target=self._run, name="beats", daemon=True)

    @property
    def units(self) -> Units:
        """All units of the pipeline."""
        return self._duty.units

    @property
    def symbols(self) -> set[str]:
        """The symbols that this producer sends."""
        with self._lock:
            return self.units.symbols_of(self._duty.have)

    def holds(self) -> bool:
        """Return whether anything may be sent now."""
        return self._duty.holds(time.monotonic())

    def stands_by(self) -> bool:
        """Return whether there is surely nothing to send: the symbols are all with others."""
        with self._lock:
            return self._duty.stands_by(time.monotonic())

    def order(self) -> Order:
        """Return what to let go or to take now; see `Duty.order`."""
        with self._lock:
            before = self._duty.seen
            order = self._duty.order(time.monotonic())
            seen, members = self._duty.seen, self._duty.members
        if seen != before:
            self._wake.set()
        if order.take or order.leave:
            _log.info("the share changes", takes=len(order.take), leaves=len(order.leave), producers=members)
        return order

    def left(self, which: frozenset[str]) -> None:
        """Note that these units are let go; see `Duty.left`."""
        with self._lock:
            self._duty.left(which)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the lease: at once where nothing is sent any more, else when its time is over."""
        self._ended = True
        self._wake.set()
        self._thread.join()
        if not self._duty.have:
            try:
                self._table.leave(self._duty.name)
            except TableUnavailable as unavailable:
                _log.warning("the lease was not given back", why=str(unavailable))
        self._table.close()

    def _run(self) -> None:
        while not self._ended:
            self._beat()
            self._wake.wait(_BEAT_SECONDS if self._settled else _SOON_SECONDS)
            self._wake.clear()

    def _beat(self) -> None:
        asked_at = time.monotonic()
        try:
            answer = self._table.beat(self._duty.name, self._duty.seen)
        except TableUnavailable as error:
            if not self.holds():
                self._readiness.waiting(CHECK, f"sends nothing, because the lease is over: {error}")
            return
        members = [Member(name, seen) for name, seen in answer.members.items()]
        now = time.monotonic()
        with self._lock:
            self._duty.heard(Table(answer.epoch, answer.quiet_ms / 1000, members), asked_at, now)
            unsettled = self._duty.unsettled(now)
        self._settled = unsettled is None
        if unsettled is None:
            self._readiness.fine(CHECK)
        else:
            self._readiness.waiting(CHECK, unsettled)
