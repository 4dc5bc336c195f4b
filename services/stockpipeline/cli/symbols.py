"""`stockpipeline symbols`: what an exchange lists, from the network or from files, kept and compared."""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple, TextIO

from stockpipeline.api import Collection, PipelineConfig
from stockpipeline.market.listing import (
    BadListing,
    Listed,
    ShrunkenListing,
    check_share,
    join,
    read_directory,
    read_screener,
)

DIRECTORY_URL = "https://www.nasdaqtrader.com/dynamic/symdir/nasdaqlisted.txt"
SCREENER_URL = "https://api.nasdaq.com/api/screener/stocks?tableonly=true&exchange=NASDAQ&download=true"
_TIMEOUT_SECONDS = 30.0
_MAX_BYTES = 64 << 20


class SymbolFiles(NamedTuple):
    """Where the listing comes from; None: the network."""

    directory: Path | None
    screener: Path | None
    cache: Path
    """The last listing that was accepted, as lines of JSON."""


def symbols(config: PipelineConfig, files: SymbolFiles, *, accept_fewer: bool, out: TextIO) -> int:
    """Print the listing, one stock a line of JSON, and keep it; return the exit status.

    What cannot be had or has shrunk is told, and the last listing printed in its place (status 1).
    """
    collection = config.spec.universe.collect or Collection()
    before = _cached(files.cache)
    try:
        listed = _collect(collection, files)
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


def _collect(collection: Collection, files: SymbolFiles) -> list[Listed]:
    directory = read_directory(_text(files.directory, DIRECTORY_URL))
    screener = read_screener(_text(files.screener, SCREENER_URL))
    tiers = [(tier.name, float(tier.minimum_market_cap)) for tier in collection.tiers]
    return join(directory, screener, collection.minimum_market_cap, tiers)


def _text(path: Path | None, url: str) -> str:
    """Return a file's or a URL's text.

    Raises:
        OSError: it cannot be had.
    """
    if path is not None:
        return path.read_text(encoding="utf-8", errors="replace")
    # The screener answers nobody who does not look like a browser.
    request = urllib.request.Request(url, headers={"User-Agent": "Mozilla/5.0", "Accept": "*/*"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
            data: bytes = response.read(_MAX_BYTES)
    except urllib.error.URLError as error:
        raise OSError(f"{url}: {error.reason}") from error
    return data.decode("utf-8", "replace")


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
