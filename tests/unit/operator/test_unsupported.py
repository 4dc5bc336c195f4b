"""What is asked for and cannot be done yet is said, never ignored."""

from __future__ import annotations

from typing import Any

import pytest

from stockpipeline.api import StockPipelineSpec
from stockpipeline_operator.reconcile.problems import find_problems
from stockpipeline_operator.reconcile.unsupported import NOT_YET

SMALLEST: dict[str, Any] = {
    "universe": {"symbols": ["IBM"]},
    "sources": [{"name": "replay", "replay": {"start": "2004-01-02"}}],
}
RULE = {"name": "r", "side": "buy", "when": "close > 1"}
ASKED: dict[str, dict[str, Any]] = {
    "rules for other than regular sessions": {"rules": [{**RULE, "sessions": ["pre", "post"]}]},
    "console": {"console": {}},
}


@pytest.mark.parametrize("part", [part for part, _ in NOT_YET])
def test_it_is_named(part: str) -> None:
    spec = StockPipelineSpec.model_validate(SMALLEST | ASKED[part])
    (problem,) = find_problems(spec)
    assert problem.reason == "NotSupportedYet"
    assert part in problem.message
    assert "leave it out" in problem.message


def test_nothing_is_said_of_what_can_be_done() -> None:
    assert find_problems(StockPipelineSpec.model_validate(SMALLEST)) == ()
    rule = {**RULE, "sessions": ["pre", "regular"], "strength": 0.5}
    asked = SMALLEST | {"rules": [rule], "performance": {}, "store": {}, "replicaSync": {}}
    asked |= {"scaling": {"producer": {"replicas": 2}}}
    assert find_problems(StockPipelineSpec.model_validate(asked)) == ()
