"""`stockpipeline symbols`: what an exchange lists, from the network or from files, kept and compared."""

import json
import os
import sys
from pathlib import Path
from typing import NamedTuple, TextIO

from stockpipeline.api import Collection, PipelineConfig
from stockpipeline.market.listing import BadListing, ShrunkenListing, check_share
from stockpipeline.sources.nasdaq import ListingPlaces, fetch_listing


class SymbolFiles(NamedTuple):
    """Where the listing comes from; None: where the pipeline says."""

    directory: Path | None
    screener: Path | None
    cache: Path
    """The last listing that was accepted, as lines of JSON."""

    def places(self) -> ListingPlaces:
        """Where to look."""
        return ListingPlaces(*(None if path is None else str(path) for path in self[:2]))


def symbols(config: PipelineConfig, files: SymbolFiles, *, accept_fewer: bool, out: TextIO) -> int:
    """Print the listing, one stock a line of JSON, and keep it; return the exit status.

    What cannot be had or has shrunk is told, and the last listing printed in its place (status 1).
    """
    collection = config.spec.universe.collect or Collection()
    before = _cached(files.cache)
    try:
        listed = fetch_listing(collection, files.places())
        if not accept_fewer:
            check_share(len(listed), len(before), collection.minimum_share)
    except (OSError, BadListing, ShrunkenListing) as error:
        print(f"stockpipeline symbols: {error}", file=sys.stderr)
        if not before:
            return 1
        print(f"these are the {len(before)} symbols of the last listing, {files.cache}", file=sys.stderr)
        out.write("".join(f"{line}\n" for line in before))
        return 1
    lines = [json.dumps({k: v for k, v in one._asdict().items() if v not in (None, "")}) for one in listed]
    _keep(files.cache, lines)
    out.write("".join(f"{line}\n" for line in lines))
    return 0


def _cached(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _keep(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    new.replace(path)
