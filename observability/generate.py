"""Writes every file that is generated here: `python -m observability.generate`."""

from collections.abc import Mapping
from pathlib import Path

from observability import alerts, page
from observability.alerts.rule import rule_file
from observability.contract import contract

REPOSITORY = Path(__file__).parents[1]


def generated() -> Mapping[str, str]:
    """Return the text of each generated file by its path in the repository."""
    return {
        "docs/metrics.md": page.render(contract()),
        "charts/stockpipeline-operator/files/rules.yml": rule_file(alerts.PRODUCT),
        "charts/stockpipeline-backends/files/rules.yml": rule_file(alerts.LOCAL),
    }


def write() -> None:
    """Write all of them."""
    for path, text in generated().items():
        file = REPOSITORY / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


if __name__ == "__main__":
    write()
