"""The choice of the engine: Spark only where it is there, has more to work with, and enough to work on."""

from __future__ import annotations

import pytest

from stockpipeline.api import Engine
from stockpipeline.batch.engines import SPARK_START_SECONDS, choose, crossing_rows


@pytest.mark.parametrize("engine", [Engine.LOCAL, Engine.SPARK])
def test_what_is_asked_for_is_taken(engine: Engine) -> None:
    assert choose(engine, 1, 64, None).engine is engine
    assert choose(engine, 10**12, 1, 64).engine is engine


def test_spark_is_never_chosen_without_pods_or_with_no_more_cores() -> None:
    assert choose(Engine.AUTO, 10**12, 2, None).engine is Engine.LOCAL
    assert choose(Engine.AUTO, 10**12, 2, 2).engine is Engine.LOCAL
    assert crossing_rows(2, 2) is None


@pytest.mark.parametrize(("cores", "executors"), [(1, 8), (2, 16), (4, 64)])
def test_spark_is_chosen_from_the_size_on_at_which_it_is_done_first(cores: int, executors: int) -> None:
    least = crossing_rows(cores, executors)
    assert least is not None
    assert choose(Engine.AUTO, least - 1, cores, executors).engine is Engine.LOCAL
    chosen = choose(Engine.AUTO, least, cores, executors)
    assert chosen.engine is Engine.SPARK
    assert f"{least:,}" in chosen.reason
    # With no end of executors, this process must take at least as long as Spark's start.
    assert least > SPARK_START_SECONDS * cores * 100_000


def test_more_executors_pay_earlier() -> None:
    sizes = [crossing_rows(2, executors) for executors in (16, 32, 64)]
    assert sizes == sorted(sizes, key=lambda size: -(size or 0))
    assert None not in sizes
