"""Specs whose parts do not go together are refused with what to change."""

from __future__ import annotations

from typing import Any

import pytest

from stockpipeline.api import StockPipelineSpec
from stockpipeline_operator.reconcile.problems import find_problems

NIGHTLY: dict[str, Any] = {
    "universe": {"symbols": ["IBM"], "collect": {}},
    "sources": [{"name": "yahoo", "yahoo": {}}],
    "store": {},
    "replicaSync": {},
    "batch": {},
}


def test_a_batch_may_work_on_what_an_exchange_lists() -> None:
    assert find_problems(StockPipelineSpec.model_validate(NIGHTLY)) == ()


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"batch": None}, "add `batch`, or leave it out"),
        ({"universe": {"collect": {}}}, "name in universe.symbols which symbols to follow live"),
        ({"store": None, "replicaSync": None}, "add `store: {}` and `replicaSync: {}`"),
        ({"sources": [{"name": "replay", "replay": {"start": "2004-01-02"}}]}, "of the kind yahoo"),
        ({"replicaSync": {"url": "file:///tmp/here"}}, "pods have no folder"),
    ],
)
def test_it_is_said_what_to_change(changes: dict[str, Any], advice: str) -> None:
    (problem,) = find_problems(StockPipelineSpec.model_validate(NIGHTLY | changes))
    assert problem.reason == "InvalidSpec"
    assert advice in problem.message
