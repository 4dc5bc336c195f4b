"""Importing less than a library would like to."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """Let imports within find none of these packages, unless they are loaded already.

    For libraries that load another one only because it is there: TA-Lib's wrapper and Arrow load pandas to
    accept its series too, which takes 60 MB and a quarter of a second of a program that has none. Likewise
    structlog and rich.
    """
    # Not None in sys.modules: to Cython's import that is a module.
    hiding = _Hiding(frozenset(packages))
    sys.meta_path.insert(0, hiding)
    try:
        yield
    finally:
        sys.meta_path.remove(hiding)


class _Hiding(MetaPathFinder):
    def __init__(self, packages: frozenset[str]) -> None:
        self._packages = packages

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - as Python calls it
        target: ModuleType | None = None,  # noqa: ARG002 - as Python calls it
    ) -> ModuleSpec | None:
        """Find nothing, and keep others from finding what is hidden."""
        if fullname.partition(".")[0] in self._packages:
            raise ModuleNotFoundError(f"{fullname} is hidden while this is loaded", name=fullname)
        return None
