"""Deliveries: rows of the batch on their way to the writer, through the object store of the generations.

The writer alone opens the master, so whoever has rows for it delivers them: files first, then the delivery
that names them, under the next number. The writer loads deliveries in the order of their numbers, each in one
transaction, and writes an outcome. Loading one twice changes nothing, so a kill anywhere is mended by doing
it again. Who may write to the object store may deliver.

| key | what |
|---|---|
| `deliveries/files/0000001763922000-NONCE/0-bars-0.parquet` | rows, named by the second and the submitter |
| `deliveries/waiting/000000000012.json` | delivery 12; until it is loaded, or for a look if refused |
| `deliveries/outcomes/000000000012.json` | what became of it; the newest stay |
"""

import io
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import msgspec

from stockpipeline.store.blocks import block_hash
from stockpipeline.store.errors import AlreadyExists, Missing, StoreError
from stockpipeline.store.files import space_needed, write_synced
from stockpipeline.store.manifest import FORMAT
from stockpipeline.store.object_store import ObjectStore
from stockpipeline.store.tables import KEYS

if TYPE_CHECKING:
    import pyarrow as pa

_FILES = "deliveries/files/"
_WAITING = "deliveries/waiting/"
_OUTCOMES = "deliveries/outcomes/"
# Of doubles, 64 MB: a file is in memory whole, at the submitter and at the store.
_ROWS_OF_A_FILE = 1_000_000
_KEPT_OUTCOMES = 50
_LOOK_SECONDS = 0.5
_LEFTOVER_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Rows:
    """Rows for a table in `tables.KEYS`.

    With `first` and `last`, ISO dates, they are all that the table is to have of these sessions. Without,
    they are merged into it.
    """

    table: str
    rows: "pa.Table"
    first: str | None = None
    last: str | None = None


class DeliveredFile(msgspec.Struct, frozen=True):
    """A Parquet file: its key, and the hash (64 hex digits) of its bytes."""

    key: str
    hash: str


class DeliveredTable(msgspec.Struct, frozen=True):
    """As Rows, in files."""

    table: str
    files: tuple[DeliveredFile, ...]
    first: str | None
    last: str | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What is loaded in one transaction.

    `batch` names it for people, `nonce` (random) for the submitter; `content` is a hash over all of it.
    """

    format: int = FORMAT
    number: int
    nonce: str
    batch: str
    content: str
    tables: tuple[DeliveredTable, ...]
    submitted_ms: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a delivery.

    If it was `loaded`: how many `rows` of each table were new, differed or were deleted, and from which
    `generation` on readers see it (None where nothing is published). If not, `why`.
    """

    format: int = FORMAT
    number: int
    nonce: str
    batch: str
    loaded: bool
    rows: dict[str, int] = {}
    generation: int | None = None
    why: str = ""


class Refused(StoreError):
    """A delivery that cannot be loaded, however often it is tried; the message says why."""


class NotLoaded(StoreError):
    """A delivery that was not loaded in time."""


class Deliveries:
    """The deliveries of one object store. Every method raises Unavailable if that does not answer."""

    def __init__(self, store: ObjectStore, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now

    def submit(self, batch: str, tables: Iterable[Rows]) -> Delivery:
        """Deliver rows; the same that already wait as the newest delivery are not delivered twice.

        Raises:
            ValueError: rows are for a table that no batch may load.
        """
        nonce = secrets.token_hex(8)
        folder = f"{_FILES}{int(self._now()):016d}-{nonce}/"
        delivered = tuple(self._put_rows(f"{folder}{place}", rows) for place, rows in enumerate(tables))
        content = _content(delivered)
        while True:
            waiting = self.waiting()
            if waiting and (same := self._same(waiting[-1], batch, content)) is not None:
                self._store.delete([file.key for table in delivered for file in table.files])
                return same
            number = max([*waiting, *self._numbers(_OUTCOMES), 0]) + 1
            delivery = Delivery(
                number=number,
                nonce=nonce,
                batch=batch,
                content=content,
                tables=delivered,
                submitted_ms=round(self._now() * 1000),
            )
            if self._create(delivery):
                return delivery

    def waiting(self) -> list[int]:
        """Return the numbers of the deliveries that have no outcome yet, in order."""
        numbers = self._numbers(_WAITING)
        if not numbers:
            return []
        settled = set(self._numbers(_OUTCOMES))
        return [number for number in numbers if number not in settled]

    def outcome(self, number: int) -> Outcome | None:
        """Return what became of a delivery; None while it waits, and long after."""
        try:
            return msgspec.json.decode(self._store.get(_outcome_key(number)), type=Outcome)
        except Missing:
            return None

    def await_outcome(self, delivery: Delivery, seconds: float) -> Outcome:
        """Return what became of a delivery.

        Raises:
            Refused: it cannot be loaded.
            NotLoaded: it waits for longer than `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            outcome = self.outcome(delivery.number)
            if outcome is not None and not outcome.loaded:
                raise Refused(f"delivery {delivery.number} ({delivery.batch}) was refused: {outcome.why}")
            if outcome is not None:
                return outcome
            if time.monotonic() > deadline:
                raise NotLoaded(
                    f"delivery {delivery.number} ({delivery.batch}) waits in {self._store.url} for "
                    f"{seconds:g} s: is the store running? It stays there, and is loaded when it does"
                )
            time.sleep(_LOOK_SECONDS)

    def fetch(self, number: int, folder: Path) -> Delivery:
        """Put the files of a delivery into an empty folder, where `files_of` finds them.

        Raises:
            Refused: the delivery or a file is not what it should be.
            NoSpace: the disk is full.
        """
        try:
            delivery = self._read(number)
        except msgspec.MsgspecError as error:
            raise Refused(f"{_waiting_key(number)} is no delivery: {error}") from error
        if (delivery.format, delivery.number) != (FORMAT, number):
            raise Refused(
                f"{_waiting_key(number)} says to be delivery {delivery.number} of format {delivery.format}"
            )
        for place, table in enumerate(delivery.tables):
            if table.table not in KEYS:
                raise Refused(f"{table.table!r} is no table of the batch; these are {', '.join(KEYS)}")
            for part, file in enumerate(table.files):
                data = self._get_file(file)
                path = folder / f"{place}-{part}.parquet"
                with space_needed(path, len(data)):
                    write_synced(path, data)
                _check_parquet(path, file.key)
        return delivery

    def settle(self, outcome: Outcome) -> None:
        """Say what became of a delivery. One that was loaded goes; one that was refused stays for a look."""
        # The outcome first: a delivery without one is loaded again, which changes nothing.
        self._store.put(_outcome_key(outcome.number), msgspec.json.encode(outcome))
        if outcome.loaded:
            self._forget(outcome.number)
        for old in self._numbers(_OUTCOMES)[:-_KEPT_OUTCOMES]:
            self._forget(old)
            self._store.delete([_outcome_key(old)])
        self._sweep()

    def refuse(self, number: int, why: str) -> None:
        """Settle a delivery that could not be fetched."""
        try:
            delivery = self._read(number)
            nonce, batch = delivery.nonce, delivery.batch
        except msgspec.MsgspecError:
            nonce = batch = ""
        self.settle(Outcome(number=number, nonce=nonce, batch=batch, loaded=False, why=why))

    def _create(self, delivery: Delivery) -> bool:
        """Write a delivery; return whether it has its number for itself."""
        key = _waiting_key(delivery.number)
        try:
            self._store.create(key, msgspec.json.encode(delivery))
        except AlreadyExists:
            return self._same_nonce(delivery)  # perhaps our own, by a request whose answer was lost
        # A delivery that was loaded is deleted, and its number can be created again by who slept meanwhile.
        outcome = self.outcome(delivery.number)
        if outcome is None or outcome.nonce == delivery.nonce:
            return True
        self._store.delete([key])
        return False

    def _same_nonce(self, delivery: Delivery) -> bool:
        try:
            return self._read(delivery.number).nonce == delivery.nonce
        except Missing:
            return False

    def _put_rows(self, prefix: str, rows: Rows) -> DeliveredTable:
        if rows.table not in KEYS:
            raise ValueError(f"{rows.table!r} is no table of the batch; these are {', '.join(KEYS)}")
        import pyarrow.parquet as pq  # here, for who only receives has 40 MiB less without it

        files: list[DeliveredFile] = []
        for start in range(0, max(1, rows.rows.num_rows), _ROWS_OF_A_FILE):
            buffer = io.BytesIO()
            pq.write_table(rows.rows.slice(start, _ROWS_OF_A_FILE), buffer, compression="zstd")
            key = f"{prefix}-{rows.table}-{len(files)}.parquet"
            self._store.put(key, buffer.getvalue())
            files.append(DeliveredFile(key, block_hash(buffer.getvalue()).hex()))
        return DeliveredTable(rows.table, tuple(files), rows.first, rows.last)

    def _get_file(self, file: DeliveredFile) -> bytes:
        try:
            data = self._store.get(file.key)
        except Missing as error:
            raise Refused(str(error)) from error
        if block_hash(data).hex() != file.hash:
            raise Refused(f"{file.key} in {self._store.url} has other content than was delivered")
        return data

    def _same(self, number: int, batch: str, content: str) -> Delivery | None:
        """Return a delivery if it is this one."""
        try:
            found = self._read(number)
        except (Missing, msgspec.MsgspecError):  # loaded meanwhile, or of somebody else
            return None
        return found if (found.batch, found.content) == (batch, content) else None

    def _read(self, number: int) -> Delivery:
        return msgspec.json.decode(self._store.get(_waiting_key(number)), type=Delivery)

    def _forget(self, number: int) -> None:
        """Remove a delivery, its files before the last that names them."""
        try:
            files = [file.key for table in self._read(number).tables for file in table.files]
        except Missing:
            return
        except msgspec.MsgspecError:
            files = []
        self._store.delete([key for key in files if key.startswith(_FILES)])
        self._store.delete([_waiting_key(number)])

    def _sweep(self) -> None:
        """Remove files of submitters that were killed before they delivered them, a day ago or earlier."""
        named = set()
        for number in self._numbers(_WAITING):
            try:
                named |= {file.key for table in self._read(number).tables for file in table.files}
            except (Missing, msgspec.MsgspecError):
                continue
        until = f"{_FILES}{int(self._now()) - _LEFTOVER_SECONDS:016d}"
        old = [found.key for found in self._store.list(_FILES) if found.key < until]
        self._store.delete([key for key in old if key not in named])

    def _numbers(self, prefix: str) -> list[int]:
        return sorted(int(Path(found.key).stem) for found in self._store.list(prefix))


def files_of(folder: Path, place: int) -> Path:
    """Return the path, with a wildcard, of the files of a delivery's table number `place`."""
    return folder / f"{place}-*.parquet"


def _check_parquet(path: Path, key: str) -> None:
    quoted = str(path).replace("'", "''")
    try:
        with duckdb.connect() as database:
            database.execute(f"SELECT count(*) FROM parquet_schema('{quoted}')")  # noqa: S608 - quoted
    except duckdb.Error as error:
        raise Refused(f"{key} is no Parquet file: {str(error).splitlines()[0]}") from error


def _content(tables: Sequence[DeliveredTable]) -> str:
    named = [[one.table, one.first, one.last, [file.hash for file in one.files]] for one in tables]
    return block_hash(msgspec.json.encode(named)).hex()


def _waiting_key(number: int) -> str:
    return f"{_WAITING}{number:012d}.json"


def _outcome_key(number: int) -> str:
    return f"{_OUTCOMES}{number:012d}.json"
