"""The closed daily bars of a pipeline's symbols in Redis.

One key for each symbol and *digest* holds a series in its binary form, one hash symbol → digest says which
of them count. So a reader sees with one request which series there are and which changed, and new ones are
written beside the old ones: what counts changes in one small transaction, which moves the hash and counts
the generation, however much was written before it. Values that no longer count stay for a while, for readers
that have seen the hash of before; those that a killed writer left go by themselves.

Redis only holds what can be loaded again.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeVar, cast

from stockpipeline.api import PipelineNames
from stockpipeline.market.bars import BarSeries, InvalidBars
from stockpipeline.runtime.redis_client import NoBackoff, Redis, RedisError, Retry, WatchError

_T = TypeVar("_T")
_TIMEOUT_SECONDS = 3.0
_BATCH = 100
_LEFT_SECONDS = 3600
"""How long values stay that do not count: not yet, or no more."""
_ATTEMPTS = 10


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

    def put_many(self, history: Mapping[str, BarSeries], remove: Collection[str] = ()) -> None:
        """Make these the series of their symbols and drop those to remove, all at once; others stay.

        Raises:
            HistoryUnavailable: Redis cannot be reached, or is too busy with other writers.
        """
        if not history and not remove:
            return None
        digests = {symbol: series.digest() for symbol, series in history.items()}
        for _ in range(_ATTEMPTS):
            try:
                return self._call(lambda: self._switch(history, digests, remove))
            except WatchError:  # another writer was first: what is old is not what it was
                continue
        raise HistoryUnavailable(
            f"Redis at {self.url}: other writers changed the history {_ATTEMPTS} times meanwhile"
        )

    def get_many(self, symbols: Sequence[str]) -> dict[str, BarSeries | None]:
        """Return the series of each symbol, None where there is none.

        Raises:
            HistoryUnavailable: Redis cannot be reached, or a value is no series.
        """
        history: dict[str, BarSeries | None] = dict.fromkeys(symbols)
        known = self._digests_of(symbols)
        for batch in _batches(known):
            for (symbol, digest), value in zip(batch, self._values(batch), strict=True):
                if value is not None:
                    history[symbol] = self._decode(self._names.history_key(symbol, digest), value)
        return history

    def differing(self, history: Mapping[str, BarSeries]) -> dict[str, BarSeries]:
        """Return those series that Redis does not have as they are: changed, broken, evicted, not noted.

        Raises:
            HistoryUnavailable: Redis cannot be reached.
        """
        digests = self.digests()
        wanted = {symbol: series.digest() for symbol, series in history.items()}
        differing = {symbol: one for symbol, one in history.items() if digests.get(symbol) != wanted[symbol]}
        noted = [(symbol, wanted[symbol]) for symbol in history if symbol not in differing]
        for batch in _batches(noted):
            for (symbol, _), value in zip(batch, self._values(batch), strict=True):
                if value != history[symbol].encode():
                    differing[symbol] = history[symbol]
        return differing

    def digests(self) -> dict[str, str]:
        """Return the digest of each symbol's series, for the symbols that have one.

        Raises:
            HistoryUnavailable: Redis cannot be reached.
        """
        found = self._call(lambda: self._redis.hgetall(self._names.history_digests_key))
        return {
            symbol.decode(): digest.decode() for symbol, digest in cast("dict[bytes, bytes]", found).items()
        }

    def evicted(self, digests: Mapping[str, str]) -> set[str]:
        """Return the symbols whose series of this digest is not there.

        Raises:
            HistoryUnavailable: Redis cannot be reached.
        """
        gone: set[str] = set()
        for batch in _batches(list(digests.items())):
            gone.update(
                symbol for (symbol, _), there in zip(batch, self._exist(batch), strict=True) if not there
            )
        return gone

    def generation(self) -> int:
        """Return how often the history has changed.

        Raises:
            HistoryUnavailable: Redis cannot be reached.
        """
        found = self._call(lambda: self._redis.get(self._names.history_generation_key))
        return int(cast("bytes | None", found) or 0)

    def leaving(self) -> dict[str, float]:
        """Return since when (epoch seconds) there is no history of a symbol any more, for those that stay.

        Raises:
            HistoryUnavailable: Redis cannot be reached.
        """
        found = self._call(lambda: self._redis.hgetall(self._names.history_leaving_key))
        return {symbol.decode(): float(since) for symbol, since in cast("dict[bytes, bytes]", found).items()}

    def mark_leaving(self, symbols: Collection[str], not_these: Collection[str], since: float) -> None:
        """Note that these symbols leave since then (epoch seconds), and that others do not.

        Raises:
            HistoryUnavailable: Redis cannot be reached.
        """
        key = self._names.history_leaving_key

        def note() -> None:
            with self._redis.pipeline(transaction=True) as transaction:
                for symbol in symbols:
                    transaction.hset(key, symbol, repr(since))
                for symbol in not_these:
                    transaction.hdel(key, symbol)
                transaction.execute()

        self._call(note)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _switch(
        self, history: Mapping[str, BarSeries], digests: Mapping[str, str], remove: Collection[str]
    ) -> None:
        """Write the values, then let them count; raise ``WatchError`` if another writer came between."""
        names = self._names
        with self._redis.pipeline(transaction=True) as transaction:
            transaction.watch(names.history_digests_key)  # type: ignore[no-untyped-call]
            before = self.digests()
            for batch in _batches(list(digests.items())):
                self._write(batch, history)
            transaction.multi()
            for symbol, digest in digests.items():
                transaction.persist(names.history_key(symbol, digest))
            if digests:
                transaction.hset(
                    names.history_digests_key, items=[text for pair in digests.items() for text in pair]
                )
            for symbol in remove:
                transaction.hdel(names.history_digests_key, symbol)
            for symbol in (*digests, *remove):
                old = before.get(symbol)
                if old is not None and old != digests.get(symbol):
                    transaction.expire(names.history_key(symbol, old), _LEFT_SECONDS)
            transaction.incr(names.history_generation_key)
            transaction.execute()

    def _write(self, batch: Sequence[tuple[str, str]], history: Mapping[str, BarSeries]) -> None:
        """Write values that do not count yet; those that are there are made whole and stay as long as they
        would.
        """
        there = self._exist(batch)
        with self._redis.pipeline(transaction=False) as pipeline:
            for (symbol, digest), exists in zip(batch, there, strict=True):
                key, value = self._names.history_key(symbol, digest), history[symbol].encode()
                if exists:
                    pipeline.set(key, value, keepttl=True)
                else:
                    pipeline.set(key, value, ex=_LEFT_SECONDS)
            pipeline.execute()

    def _exist(self, batch: Sequence[tuple[str, str]]) -> list[bool]:
        def ask() -> list[bool]:
            with self._redis.pipeline(transaction=False) as pipeline:
                for symbol, digest in batch:
                    pipeline.exists(self._names.history_key(symbol, digest))
                return [bool(found) for found in pipeline.execute()]

        return self._call(ask)

    def _digests_of(self, symbols: Sequence[str]) -> list[tuple[str, str]]:
        """Return (symbol, digest) of those that have a series, as they were at one moment."""
        if not symbols:  # HMGET wants a field
            return []
        key = self._names.history_digests_key
        found = self._call(lambda: cast("list[bytes | None]", self._redis.hmget(key, list(symbols))))
        return [
            (symbol, digest.decode())
            for symbol, digest in zip(symbols, found, strict=True)
            if digest is not None
        ]

    def _values(self, batch: Sequence[tuple[str, str]]) -> list[bytes | None]:
        keys = [self._names.history_key(symbol, digest) for symbol, digest in batch]
        return self._call(lambda: cast("list[bytes | None]", self._redis.mget(keys)))

    def _decode(self, key: str, value: bytes) -> BarSeries:
        try:
            return BarSeries.decode(value)
        except InvalidBars as error:
            raise HistoryUnavailable(f"Redis key {key} is no history: {error}; load it again") from error

    def _call(self, request: Callable[[], _T]) -> _T:
        try:
            return request()
        except WatchError:
            raise
        except RedisError as error:
            raise HistoryUnavailable(f"Redis at {self.url} cannot be used: {error}") from error


def _batches(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
