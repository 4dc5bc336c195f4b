"""Takes the Lease, renews it, and gives it back; opens and closes the fence accordingly."""

import datetime
import threading
from collections.abc import Callable

import structlog

from stockpipeline_operator.kube.client import ApiError, Conflict, KubeClient, NotFound, Object
from stockpipeline_operator.kube.resources import LEASE
from stockpipeline_operator.leadership.election import (
    LOOK_EVERY,
    RENEW_DEADLINE,
    RENEW_EVERY,
    Election,
    Record,
)
from stockpipeline_operator.leadership.fence import Fence, monotonic

_log = structlog.get_logger()
# Between two attempts to renew, of which the first has failed: several must fit before the deadline.
_RETRY_SECONDS = 0.2


class Leader:
    """Participates in the election of one Lease.

    `client` must be one of its own, without the fence, and give up long before the renewal's deadline.
    `looked` is told after each look at the Lease: None, or why there was no answer. `lost` is called once if
    the Lease was held and can no longer be renewed: the fence is closed by then.
    """

    def __init__(
        self,
        client: KubeClient,
        lease: tuple[str, str],
        identity: str,
        fence: Fence,
        looked: Callable[[str | None], None],
        lost: Callable[[], None],
    ) -> None:
        self._client = client
        self._namespace, self._name = lease
        self._election = Election(identity)
        self._fence = fence
        self._looked = looked
        self._lost = lost
        self._stop = threading.Event()
        self._renewing: threading.Thread | None = None

    def acquire(self, stop: threading.Event) -> bool:
        """Wait until the Lease is held, or `stop` is set; return which. Renewal then runs in a thread."""
        holder = None
        while not stop.is_set():
            if self._attempt(self._take):
                _log.info(
                    "leading", lease=f"{self._namespace}/{self._name}", identity=self._election.identity
                )
                self._renewing = threading.Thread(target=self._renew, name="lease", daemon=True)
                self._renewing.start()
                return True
            seen = self._election.seen
            if seen is not None and seen.holder != holder:
                holder = seen.holder
                _log.info("standing by", leader=holder)
            stop.wait(LOOK_EVERY)
        return False

    def release(self) -> None:
        """Close the fence, then let others have the Lease at once; call it when nothing writes any more."""
        self._stop.set()
        if self._renewing is not None:
            self._renewing.join()
        held = self._fence.is_open
        self._fence.close()
        if held:
            self._attempt(self._give_up)

    def _renew(self) -> None:
        while not self._stop.wait(RENEW_EVERY):
            while not self._attempt(self._take):
                if not self._fence.is_open or not self._is_held():
                    self._fence.close()
                    _log.error("lost the Lease", lease=f"{self._namespace}/{self._name}")
                    self._lost()
                    return
                if self._stop.wait(_RETRY_SECONDS):
                    return

    def _attempt(self, action: Callable[[], bool]) -> bool:
        try:
            done = action()
        except Conflict:
            # Somebody else was faster; the next look tells who.
            self._looked(None)
            return False
        except ApiError as error:
            self._looked(f"no answer about the Lease {self._namespace}/{self._name}: {error}")
            return False
        self._looked(None)
        return done

    def _take(self) -> bool:
        """Take the Lease or renew it, if it may be; return whether it is held now."""
        held = self._is_held()
        if held and not self._fence.is_open:
            return False
        if not held:
            self._look()
            if not self._election.may_take(monotonic()):
                return False
        sent = monotonic()
        try:
            self._write(self._election.next_spec(_wall()))
        except (Conflict, NotFound):
            self._look()
            raise
        self._fence.open_until(sent + RENEW_DEADLINE)
        return True

    def _give_up(self) -> bool:
        self._write(self._election.given_up_spec(_wall()))
        return True

    def _write(self, spec: Object) -> None:
        seen = self._election.seen
        metadata = {"namespace": self._namespace, "name": self._name}
        body: Object = {"metadata": metadata, "spec": spec}
        if seen is None:
            made = self._client.create(LEASE.path(self._namespace), body)
        else:
            metadata["resourceVersion"] = seen.version
            made = self._client.merge(LEASE.path(self._namespace, self._name), body)
        self._election.see(Record.of(made), monotonic())

    def _look(self) -> None:
        found = self._client.get(LEASE.path(self._namespace, self._name))
        self._election.see(None if found is None else Record.of(found), monotonic())

    def _is_held(self) -> bool:
        seen = self._election.seen
        return seen is not None and seen.holder == self._election.identity


def _wall() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
