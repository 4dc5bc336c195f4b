"""Draws the lines of a load's JSON below each other, over one time, with its kills: `plot IN.json OUT.png`.

Runs in an environment of its own (requirements/plot.txt), for nothing else needs Matplotlib.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt

_WIDTH, _HEIGHT = 9.0, 1.7  # inches, of one subject
_DOTS = 100


def draw(document: dict[str, Any], picture: Path) -> None:
    """Draw each subject in a row of its own; what is not known is a gap."""
    start = document["start"]
    subjects = document["series"]
    figure, rows = plt.subplots(
        len(subjects),
        sharex=True,
        squeeze=False,
        figsize=(_WIDTH, _HEIGHT * len(subjects)),
        layout="constrained",
    )
    for axes, subject in zip(rows[:, 0], subjects, strict=True):
        for name, points in sorted(subject["lines"].items()):
            axes.plot(
                [at - start for at, _ in points], [value for _, value in points], label=name, linewidth=1.2
            )
        for fault in document["faults"]:
            axes.axvline(fault["at"] - start, color="0.5", linestyle=":", linewidth=1)
        axes.set_title(subject["title"], loc="left", fontsize=9)
        axes.set_ylabel(subject["unit"], fontsize=8)
        axes.tick_params(labelsize=8)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        if subject["lines"]:
            axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    top, last = rows[0, 0], rows[-1, 0]
    for fault in document["faults"]:
        place = (fault["at"] - start, 1.0)
        top.annotate(
            fault["victim"],
            place,
            xycoords=("data", "axes fraction"),
            fontsize=7,
            ha="right",
            va="top",
            rotation=90,
        )
    last.set_xlabel("seconds", fontsize=8)
    last.set_xlim(0, document["end"] - start)
    figure.savefig(picture, dpi=_DOTS)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
