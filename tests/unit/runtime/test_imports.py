"""What the services leave out."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stockpipeline.runtime.imports import without


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
