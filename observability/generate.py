"""Writes every file that is generated here: `python -m observability.generate`."""

from collections.abc import Mapping
from pathlib import Path

from observability import page
from observability.contract import contract

REPOSITORY = Path(__file__).parents[1]


def generated() -> Mapping[str, str]:
    """Return the text of each generated file by its path in the repository."""
    return {"docs/metrics.md": page.render(contract())}


def write() -> None:
    """Write all of them."""
    for path, text in generated().items():
        file = REPOSITORY / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


if __name__ == "__main__":
    write()
