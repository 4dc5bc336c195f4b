from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from stockpipeline.detector import collector


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_batches_of_messages_do_not_make_it_run() -> None:
    collector.settle()
    runs = gc.get_stats()[0]["collections"]
    for _ in range(10):
        assert len([[] for _ in range(1000)]) == 1000
    assert gc.get_stats()[0]["collections"] == runs


def test_what_exists_is_left_out_of_later_collections() -> None:
    collector.settle()
    assert gc.get_freeze_count() > 1000
