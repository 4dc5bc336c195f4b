"""The file of a benchmark is what its readers expect."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from tests.performance.report import Report


def test_the_file_has_the_rows_and_their_ratios(tmp_path: Path) -> None:
    report = Report("engine", quick=False, folder=tmp_path)
    report.add("batch", 200, "bars/s")
    report.add("stream", 500.0, "bars/s", baseline="batch", note="not in the file")
    out = io.StringIO()
    assert report.finish(out) == tmp_path / "engine.json"
    assert json.loads((tmp_path / "engine.json").read_text()) == [
        {"name": "batch", "value": 200, "unit": "bars/s", "baseline": None, "ratio": None},
        {"name": "stream", "value": 500, "unit": "bars/s", "baseline": "batch", "ratio": 2.5},
    ]
    assert "2.5 x batch" in out.getvalue()
    assert "not in the file" in out.getvalue()


def test_a_quick_run_leaves_the_figures_of_a_whole_one(tmp_path: Path) -> None:
    for quick, value in ((False, 1), (True, 2)):
        report = Report("engine", quick=quick, folder=tmp_path)
        report.add("batch", value, "s")
        report.finish(io.StringIO())
    assert json.loads((tmp_path / "engine.json").read_text())[0]["value"] == 1
    assert json.loads((tmp_path / "quick" / "engine.json").read_text())[0]["value"] == 2


@pytest.mark.parametrize(("name", "baseline"), [("zero", None), ("other", "unknown"), ("other", "zero")])
def test_rows_that_make_no_sense_are_refused(tmp_path: Path, name: str, baseline: str | None) -> None:
    report = Report("engine", quick=False, folder=tmp_path)
    report.add("zero", 0, "s")
    with pytest.raises(ValueError, match="benchmark engine"):
        report.add(name, 1, "s", baseline=baseline)


def test_a_run_of_parts_keeps_the_figures_of_the_others(tmp_path: Path) -> None:
    for value, parts, names in (
        (1, False, ("one", "two")),
        (2, True, ("two", "three")),
        (3, False, ("one",)),
    ):
        report = Report("engine", quick=False, parts=parts, folder=tmp_path)
        for name in names:
            report.add(name, value, "s")
        path = report.finish(io.StringIO())
        found = {row["name"]: row["value"] for row in json.loads(path.read_text())}
        if parts:
            assert found == {"one": 1, "two": 2, "three": 2}
    assert found == {"one": 3}
