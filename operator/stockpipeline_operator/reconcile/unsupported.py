"""What the resource can say and this version cannot do yet.

The definition describes the whole product, so that resources stay valid from version to version. Whatever a
user asks for is done or refused with a sentence, never ignored. Work that adds a part deletes its line.
"""

from collections.abc import Callable

from stockpipeline.api import MarketSession, StockPipelineSpec
from stockpipeline_operator.reconcile.state import Problem

Asks = Callable[[StockPipelineSpec], bool]

NOT_YET: tuple[tuple[str, Asks], ...] = (
    (
        "rules for other than regular sessions",
        lambda spec: any(rule.sessions and MarketSession.REGULAR not in rule.sessions for rule in spec.rules),
    ),
    ("console", lambda spec: spec.console is not None),
)


def find_unsupported(spec: StockPipelineSpec) -> tuple[Problem, ...]:
    """One problem that names all that is asked for and cannot be done; none where all can be."""
    asked = [part for part, asks in NOT_YET if asks(spec)]
    if not asked:
        return ()
    return (Problem("NotSupportedYet", f"this version cannot do yet: {', '.join(asked)}; leave it out"),)
