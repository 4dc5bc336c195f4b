"""The verbs of the benchmarks: each is a module and a verb, and a failure of one does not hide the others."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from cluster import benchmarks
from cluster.progress import Progress
from cluster.settings import REPO, Settings


def test_each_benchmark_is_a_module_and_a_verb() -> None:
    verbs = (REPO / "Makefile").read_text()
    for name in benchmarks.BENCHMARKS:
        assert importlib.util.find_spec(f"tests.performance.{name}"), f"tests/performance/{name} is missing"
        assert f"\nbench-{name}: ##" in verbs
        assert f"@$(BENCH) {name}\n" in verbs


def test_all_run_even_if_one_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmarks.prerequisites, "install", lambda _packages, _progress: None)
    monkeypatch.setattr(benchmarks.environment, "ensure", lambda _settings, _progress: None)
    monkeypatch.setattr(benchmarks.environment, "python", lambda _settings: Path(sys.executable))
    monkeypatch.setattr(benchmarks, "BENCHMARKS", ("bad", "good"))
    folder = tmp_path / "tests" / "performance"
    folder.mkdir(parents=True)
    (folder / "bad.py").write_text("raise SystemExit(3)")
    (folder / "good.py").write_text("import sys; print('ran with', sys.argv[1:])")
    settings = Settings(**{**vars(Settings.from_environment({})), "repo": tmp_path})
    monkeypatch.delenv("PYTHONPATH", raising=False)

    assert benchmarks.run_benchmarks(settings, benchmarks.BENCHMARKS, True, Progress()) == 1
    out, err = capfd.readouterr()
    assert "ran with ['--quick']" in out
    assert "failed: bad" in err


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(ValueError, match="no benchmark 'nothing'"):
        benchmarks.run_benchmarks(Settings.from_environment({}), ["nothing"], False, Progress())
