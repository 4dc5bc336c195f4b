"""The log of an object store: what makes a generation visible, and who may.

The newest entry is HEAD. An entry is written by creating the object with the next number, which one writer at
most can do: that is the one step that makes a generation visible, and everything it refers to was written
before.
"""

from concurrent.futures import ThreadPoolExecutor

from stockpipeline.store.errors import AlreadyExists, Damaged, Fenced, Missing, NothingPublished
from stockpipeline.store.manifest import (
    LOG_PREFIX,
    Generation,
    LogEntry,
    decode_catalog,
    decode_entry,
    encode,
    log_key,
    number_of,
)
from stockpipeline.store.object_store import ObjectStore

REQUESTS_AT_ONCE = 8


class Log:
    """Reads and extends the log of one object store. Every method raises Unavailable if that does not
    answer."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def head(self, known: LogEntry | None = None) -> LogEntry | None:
        """Return the newest entry, None in an empty store; cheaper with one that is `known`.

        Raises:
            Damaged: what has the key of the newest entry is none.
        """
        after = log_key(known.number) if known is not None else ""
        newest = max((found.key for found in self._store.list(LOG_PREFIX, after)), default=None)
        if newest is not None:
            return decode_entry(self._store.get(newest), newest)
        if known is None or self.entry(known.number) == known:
            return known
        return self.head()  # the log went back: it was restored from a backup

    def entry(self, number: int) -> LogEntry | None:
        """Return an entry, None if it is not kept.

        Raises:
            Damaged: what has its key is none.
        """
        key = log_key(number)
        try:
            return decode_entry(self._store.get(key), key)
        except Missing:
            return None

    def append(self, entry: LogEntry) -> None:
        """Make `entry` the new HEAD.

        Raises:
            Fenced: another writer went on first.
            Unavailable: the store does not answer; whether the entry was written is unknown then.
        """
        try:
            self._store.create(entry.key, encode(entry))
        except AlreadyExists as error:
            # It may be our own, by a request whose answer was lost and that was sent again.
            there = self.entry(entry.number)
            if there != entry:
                raise Fenced(
                    f"{_writer(there)} wrote entry {entry.number} of {self._store.url} first"
                ) from error
        # An entry that was removed as garbage long ago can be created again by a writer that slept since.
        # What counts is whether the log went on from it.
        newest = self.head()
        if newest is None or newest.number == entry.number:
            return
        successor = self.entry(entry.number + 1)
        if successor is None or successor.previous != entry.digest():
            self._store.delete([entry.key])
            raise Fenced(f"{_writer(newest)} wrote entry {newest.number} of {self._store.url} long ago")

    def numbers(self) -> list[int]:
        """Return the numbers of the entries that lead to HEAD without a gap, in order."""
        numbers = sorted(number_of(found.key) for found in self._store.list(LOG_PREFIX))
        # Below a gap are entries of writers that slept, see `append`, killed before they could clean up.
        first = len(numbers) - 1
        while first > 0 and numbers[first - 1] == numbers[first] - 1:
            first -= 1
        return numbers[max(0, first) :]

    def generations(self) -> list[Generation]:
        """Return all generations that can be restored, oldest first.

        Raises:
            Damaged: an entry or the catalog is not what it should be.
        """
        numbers = self.numbers()
        if not numbers:
            return []
        head = self._entry(numbers[-1])
        found: set[Generation] = set()
        if head.catalog is not None:
            found.update(decode_catalog(self._store.get(head.catalog), head.catalog).generations)
            numbers = [number for number in numbers if number >= number_of(head.catalog)]
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            for entry in pool.map(self._entry, numbers):
                published = entry.published()
                if published is not None:
                    found.add(published)
        return sorted(found)

    def generation(self, number: int | None = None, at_ms: int | None = None) -> Generation:
        """Return the generation with a number, the newest at a time (ms since the epoch), or the newest.

        Raises:
            NothingPublished: there is none, or it is not kept any more.
        """
        kept = self.generations()
        if not kept:
            raise NothingPublished(f"{self._store.url} has no generation yet")
        if number is not None:
            chosen = [one for one in kept if one.generation == number]
            wanted = f"generation {number}"
        else:
            chosen = [one for one in kept if at_ms is None or one.published_ms <= at_ms]
            wanted = "generation that was published by then"
        if not chosen:
            raise NothingPublished(
                f"{self._store.url} keeps no {wanted}; it keeps {len(kept)}, "
                f"from {kept[0].generation} to {kept[-1].generation}"
            )
        return chosen[-1]

    def _entry(self, number: int) -> LogEntry:
        entry = self.entry(number)
        if entry is None:
            raise Damaged(f"{log_key(number)} disappeared from {self._store.url} while the log was read")
        return entry


def _writer(entry: LogEntry | None) -> str:
    return f"{entry.writer} (epoch {entry.epoch})" if entry is not None else "another writer"
