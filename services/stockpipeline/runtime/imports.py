"""Importing less than a library would like to."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """Let imports within find none of these packages, unless they are loaded already.

    For libraries that load another one only because it is there: TA-Lib's wrapper loads pandas and polars to
    accept their series too, which takes 60 MB and a quarter of a second of a service that has none. Likewise
    structlog and rich.
    """
    hidden = [package for package in packages if package not in sys.modules]
    for package in hidden:
        sys.modules[package] = None  # type: ignore[assignment] # how Python marks what must not be imported
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]
