"""The closed daily bars of a pipeline's symbols in Redis.

One key per symbol with the series in its binary form, and one hash symbol → digest, so that a reader sees
with one request which series changed. Redis only holds what can be loaded again.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from stockpipeline.api import PipelineNames
from stockpipeline.market.bars import BarSeries, InvalidBars

_TIMEOUT_SECONDS = 3.0
_BATCH = 100


class HistoryUnavailable(Exception):
    """Redis cannot be reached, or what it holds is no history: the message says which."""


class HistoryStore:
    """Reads and writes the history of one pipeline."""

    def __init__(self, url: str, names: PipelineNames) -> None:
        self.url = url
        self._names = names
        # The callers wait and try again by themselves, and say so.
        self._redis = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )

    def put_many(self, history: Mapping[str, BarSeries]) -> None:
        """Store the series of these symbols and their digests, all at once; others stay as they are.

        Raises:
            HistoryUnavailable: Redis cannot be reached.
        """
        if not history:
            return
        names = self._names
        try:
            with self._redis.pipeline(transaction=True) as pipeline:
                for symbol, series in history.items():
                    pipeline.set(names.history_key(symbol), series.encode())
                    pipeline.hset(names.history_digests_key, symbol, series.digest())
                pipeline.execute()
        except RedisError as error:
            raise self._unavailable(error) from error

    def get_many(self, symbols: Sequence[str]) -> dict[str, BarSeries | None]:
        """Return the series of each symbol, None where there is none.

        Raises:
            HistoryUnavailable: Redis cannot be reached, or a value is no series.
        """
        history: dict[str, BarSeries | None] = {}
        for start in range(0, len(symbols), _BATCH):
            batch = symbols[start : start + _BATCH]
            for symbol, value in zip(batch, self._values(batch), strict=True):
                key = self._names.history_key(symbol)
                history[symbol] = None if value is None else self._decode(key, value)
        return history

    def differing(self, history: Mapping[str, BarSeries]) -> dict[str, BarSeries]:
        """Return those series that Redis does not have as they are: changed, broken, evicted, not noted.

        Raises:
            HistoryUnavailable: Redis cannot be reached.
        """
        digests = self.digests()
        differing: dict[str, BarSeries] = {}
        symbols = list(history)
        for start in range(0, len(symbols), _BATCH):
            batch = symbols[start : start + _BATCH]
            for symbol, value in zip(batch, self._values(batch), strict=True):
                series = history[symbol]
                if value != series.encode() or digests.get(symbol) != series.digest():
                    differing[symbol] = series
        return differing

    def digests(self) -> dict[str, str]:
        """Return the digest of each symbol's series, for the symbols that have one.

        Raises:
            HistoryUnavailable: Redis cannot be reached.
        """
        try:
            found = cast("dict[bytes, bytes]", self._redis.hgetall(self._names.history_digests_key))
        except RedisError as error:
            raise self._unavailable(error) from error
        return {symbol.decode(): digest.decode() for symbol, digest in found.items()}

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _values(self, symbols: Sequence[str]) -> list[bytes | None]:
        try:
            return cast(
                "list[bytes | None]",
                self._redis.mget([self._names.history_key(symbol) for symbol in symbols]),
            )
        except RedisError as error:
            raise self._unavailable(error) from error

    def _decode(self, key: str, value: bytes) -> BarSeries:
        try:
            return BarSeries.decode(value)
        except InvalidBars as error:
            raise HistoryUnavailable(f"Redis key {key} is no history: {error}; load it again") from error

    def _unavailable(self, error: RedisError) -> HistoryUnavailable:
        return HistoryUnavailable(f"Redis at {self.url} cannot be used: {error}")
