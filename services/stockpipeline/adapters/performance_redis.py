"""What signals are worth at the moment, in Redis, for dashboards and consoles.

Per partition of the ticks, so that whoever owns it can write all of it anew:

* ``…:performance:open:PARTITION``: a hash, signal id → performance (JSON) of the open signals;
* ``…:performance:closed:PARTITION``: a sorted set of the newest closed ones, by the time of the last exit.

Redis only holds what the topics hold, too.
"""

from collections.abc import Mapping
from typing import NamedTuple

from stockpipeline.api import PipelineNames
from stockpipeline.runtime.redis_client import NoBackoff, Redis, RedisError, Retry

MOST_CLOSED = 1000
"""Closed performances that are kept of each partition."""
_TIMEOUT_SECONDS = 3.0


class ViewUnavailable(Exception):
    """Redis cannot be reached, or does not do what it should."""


class Closed(NamedTuple):
    """A final performance: the time of its last exit in epoch ms, and its JSON."""

    ts: int
    value: bytes


class PerformanceView:
    """Writes the view of one pipeline."""

    def __init__(self, url: str, names: PipelineNames) -> None:
        self.url = url
        self._names = names
        self._redis = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )

    def write(
        self,
        partition: int,
        changed: Mapping[str, bytes],
        closed: Mapping[str, Closed],
        *,
        whole: bool,
    ) -> None:
        """Write open performances and final ones, by signal; ``whole``: there are no other open ones.

        Doing it twice is doing it once.

        Raises:
            ViewUnavailable: Redis cannot be reached.
        """
        open_key, closed_key = (
            self._names.open_performance_key(partition),
            self._names.closed_performance_key(partition),
        )
        try:
            with self._redis.pipeline(transaction=True) as pipeline:
                if whole:
                    pipeline.delete(open_key)
                elif closed:
                    pipeline.hdel(open_key, *closed)
                if changed:
                    pipeline.hset(open_key, mapping=dict(changed))  # type: ignore[arg-type]
                if closed:
                    pipeline.zadd(closed_key, {one.value: one.ts for one in closed.values()})
                    pipeline.zremrangebyrank(closed_key, 0, -MOST_CLOSED - 1)
                pipeline.execute()
        except RedisError as error:
            raise ViewUnavailable(f"Redis at {self.url} cannot be used: {error}") from error

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()
