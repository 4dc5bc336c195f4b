"""Files that others see whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

_WRITING = ".writing"


def is_whole(path: Path) -> bool:
    """Whether this is the name of a file that is there whole, and not of one that is being written."""
    return path.suffix != _WRITING


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a name to write to; at the end of the block the file has its own, in one step.

    The name is the writer's alone: two machines may write the same file, where one was taken for dead, and
    then either's bytes will do.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{token_hex(4)}{_WRITING}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
