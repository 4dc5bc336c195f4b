"""What a spec's schema cannot say: functions that TA-Lib lacks, rules that do not parse."""

from stockpipeline.api import StockPipelineSpec
from stockpipeline.indicators.catalog import IndicatorError, Layout
from stockpipeline.signals.rules import RuleError, compile_rule
from stockpipeline_operator.reconcile.state import Problem
from stockpipeline_operator.reconcile.unsupported import find_unsupported


def find_problems(spec: StockPipelineSpec) -> tuple[Problem, ...]:
    """Every part, indicator and rule that cannot be used, with what to change.

    Rules are looked at only when all indicators are fine: a name that is missing would make them wrong.
    """
    problems = [*find_unsupported(spec), *_unreachable_store(spec), *_impossible_batch(spec)]
    problems += _uncollected(spec)
    if problems:
        return tuple(problems)
    for indicator in spec.indicators:
        try:
            Layout.of([indicator])
        except IndicatorError as error:
            problems.append(Problem("InvalidIndicator", str(error)))
    if problems:
        return tuple(problems)
    try:
        slots = Layout.of(spec.indicators).slots
    except IndicatorError as error:
        return (Problem("InvalidIndicator", str(error)),)
    for rule in spec.rules:
        try:
            compile_rule(rule, slots)
        except RuleError as error:
            problems.append(Problem("InvalidRule", str(error)))
    return tuple(problems)


def _unreachable_store(spec: StockPipelineSpec) -> tuple[Problem, ...]:
    url = spec.replica_sync.url if spec.replica_sync is not None else None
    if url is None or not url.startswith("file:"):
        return ()
    message = (
        f"replicaSync.url: pods have no folder {url}; leave it out, and generations go through the store's "
        "own volume, or name an object store"
    )
    return (Problem("InvalidSpec", message),)


def _uncollected(spec: StockPipelineSpec) -> tuple[Problem, ...]:
    if spec.universe.collect is None:
        return ()
    if spec.batch is None:
        message = "universe.collect: it is the nightly batch that collects; add `batch`, or leave it out"
        return (Problem("InvalidSpec", message),)
    if not spec.universe.symbols:
        message = (
            "universe.collect: what is collected is for the nightly batch; name in universe.symbols which "
            "symbols to follow live"
        )
        return (Problem("InvalidSpec", message),)
    return ()


def _impossible_batch(spec: StockPipelineSpec) -> tuple[Problem, ...]:
    if spec.batch is None:
        return ()
    if spec.store is None or spec.replica_sync is None:
        message = (
            "batch: its results are loaded into the store, and Redis follows a copy of that; add `store: {}` "
            "and `replicaSync: {}`"
        )
        return (Problem("InvalidSpec", message),)
    if all(source.yahoo is None for source in spec.sources):
        message = (
            "batch: it downloads the daily bars of an exchange's sessions, and only sources of the kind "
            "yahoo have them; add one, after the others if they are to be preferred for live quotes"
        )
        return (Problem("InvalidSpec", message),)
    return ()
