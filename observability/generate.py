"""Writes every file that is generated here: `python -m observability.generate`."""

from collections.abc import Mapping
from pathlib import Path

from observability import alerts, page
from observability.alerts.rule import rule_file
from observability.contract import contract
from observability.dashboards import BOARDS, OF_REPLICAS, layout, sql_layout
from observability.shown import places

REPOSITORY = Path(__file__).parents[1]
DASHBOARDS = "dashboards"
"""Links to the chart's folder: Helm reads nothing that is outside of a chart."""


def generated() -> Mapping[str, str]:
    """Return the text of each generated file by its path in the repository."""
    return {
        "docs/metrics.md": page.render(contract(), places()),
        "charts/stockpipeline-operator/files/rules.yml": rule_file(alerts.PRODUCT),
        "charts/stockpipeline-backends/files/rules.yml": rule_file(alerts.LOCAL),
        **{f"{DASHBOARDS}/{board.uid}.json": layout.render(board) for board in BOARDS},
        **{f"{DASHBOARDS}/{board.uid}.json": sql_layout.render(board) for board in OF_REPLICAS},
    }


def write() -> None:
    """Write all of them."""
    for path, text in generated().items():
        file = REPOSITORY / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


if __name__ == "__main__":
    write()
