"""What the services leave out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stockpipeline.runtime.imports import without

REPLAY = Path(__file__).parents[3] / "examples" / "replay.yaml"


def _run(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_hidden_package_is_there_again_afterwards() -> None:
    with without("wave"), pytest.raises(ModuleNotFoundError):
        import wave
    import wave

    assert wave.Wave_read


def test_what_is_loaded_already_stays() -> None:
    with without("subprocess"):
        import subprocess as again
    assert again is subprocess


def test_the_detector_loads_no_data_frames() -> None:
    _run(
        "import sys\n"
        "from stockpipeline.cli import import_detector\n"
        "import_detector()\n"
        "from stockpipeline.market.calendar import SessionCalendar\n"
        "SessionCalendar('XNAS')\n"
        "heavy = {'exchange_calendars', 'pandas', 'polars', 'pyarrow'} & sys.modules.keys()\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )


def test_the_batchs_computation_loads_no_data_frames(tmp_path: Path) -> None:
    (tmp_path / "bars").mkdir()
    words = ["batch", "compute", "--config", str(REPLAY), "--lake", str(tmp_path), "--engine", "local"]
    _run(
        "import sys\n"
        "from stockpipeline.cli import main\n"
        f"assert main({words!r}) == 0\n"
        "heavy = {'exchange_calendars', 'pandas', 'polars', 'rich'} & sys.modules.keys()\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
