"""Restoring: any generation that is kept becomes a file of its own, verified before it gets its name."""

import time
from pathlib import Path

import msgspec

from stockpipeline.store.assemble import assemble
from stockpipeline.store.content import Content
from stockpipeline.store.errors import Damaged
from stockpipeline.store.facts import check_facts
from stockpipeline.store.files import sync_folder
from stockpipeline.store.log import Log
from stockpipeline.store.manifest import Commit
from stockpipeline.store.object_store import ObjectStore


class RestoreReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was restored."""

    generation: int
    root: str
    size: int
    commit: Commit
    published_ms: int
    out: str
    seconds: float


def restore(
    store: ObjectStore, out: Path, *, generation: int | None = None, at_ms: int | None = None
) -> RestoreReport:
    """Write a generation to `out`: by number, the newest at a time (ms since the epoch), or the newest.

    The root, the row counts and the business checksums of the manifest hold for the file when this returns; a
    restore that was killed goes on where it stopped.

    Raises:
        FileExistsError: `out` is there; nothing is overwritten.
        NothingPublished: there is no such generation any more.
        Missing, Damaged, Unavailable, NoSpace: it could not be had whole.
    """
    started = time.monotonic()
    if out.exists():
        raise FileExistsError(f"{out} exists; restore to another name, and then put it in its place")
    chosen = Log(store).generation(generation, at_ms)
    content = Content(store)
    manifest = content.manifest(chosen.manifest)
    index = content.index(manifest)
    part = out.with_name(f"{out.name}.restoring")
    resumed = part.exists()
    part.touch()
    assemble(part, manifest, index, content, claimed=index if resumed else ())
    differences = check_facts(part, manifest.tables)
    if differences:
        raise Damaged(f"generation {manifest.generation}: {'; '.join(differences)}")
    # Unlike a rename, a link does not replace what someone else put there meanwhile.
    out.hardlink_to(part)
    part.unlink()
    sync_folder(out.parent)
    return RestoreReport(
        generation=manifest.generation,
        root=manifest.root,
        size=manifest.size,
        commit=manifest.commit,
        published_ms=manifest.published_ms,
        out=str(out),
        seconds=round(time.monotonic() - started, 3),
    )
