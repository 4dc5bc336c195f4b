"""Rules, compiled for the vectors of a pipeline, and the check of a whole pipeline's indicators and rules.

Nothing here needs TA-Lib or numpy: the operator calls ``check`` when a resource is applied.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import cast

from stockpipeline.api import BAR_FIELDS, Indicator, Rule
from stockpipeline.indicators.catalog import Layout
from stockpipeline.signals.syntax import Kind, Read, RuleError, Translation, translate

__all__ = ["CompiledRule", "RuleError", "check", "compile_rule"]

Condition = Callable[[Sequence[float], Sequence[Sequence[float]]], bool]
"""(vector of the forming bar, vectors of the closed bars, newest first) → whether it holds.

Raises ``ZeroDivisionError`` where the expression divides by zero.
"""

Places = tuple[tuple[str, int], ...]
"""Names and their positions in a vector."""

_KEPT = 1024
BUILTINS = {"__builtins__": {"abs": abs, "min": min, "max": max}}


@dataclass(frozen=True)
class CompiledRule:
    """One rule of a pipeline, ready to be evaluated."""

    name: str
    side: str
    cooldown_bars: int
    strength: float | None
    """None where it is 1."""
    sessions: frozenset[str] | None
    """Kinds of sessions whose ticks the rule looks at; None for all."""
    when: Condition
    rearm: Condition
    """Where the rule gives none: that ``when`` does not hold."""
    when_source: str
    rearm_source: str
    """Both conditions as ``syntax`` wrote them: Python over ``now`` and ``past``."""
    reads: frozenset[Read]
    """What either condition reads."""
    values: tuple[tuple[str, int], ...]
    """Names and positions of the indicator values that the rule reads, for its signals."""
    fingerprint: str
    """Changes with the rule's meaning, so that a stored latch is not taken for another rule's."""

    @property
    def bars_back(self) -> int:
        """How many closed bars the conditions look back."""
        return max((read.bars_back for read in self.reads), default=0)


def compile_rule(rule: Rule, slots: Mapping[str, int]) -> CompiledRule:
    """Return the rule over vectors with these positions; raise ``RuleError``, naming rule and field."""
    places = tuple(slots.items())
    when = _translate(rule, "when", rule.when, places)
    rearm = _translate(rule, "rearm", rule.rearm or f"not ({rule.when})", places)
    reads = when.reads | rearm.reads
    read_slots = {read.slot for read in reads}
    meaning = "\0".join((rule.name, rule.side, rule.when, rule.rearm or "", str(rule.cooldown_bars)))
    return CompiledRule(
        name=rule.name,
        side=str(rule.side),
        cooldown_bars=rule.cooldown_bars,
        strength=None if rule.strength == 1 else rule.strength,
        sessions=None if rule.sessions is None else frozenset(rule.sessions),
        when=_compiled(when.source),
        rearm=_compiled(rearm.source),
        when_source=when.source,
        rearm_source=rearm.source,
        reads=reads,
        values=tuple((n, s) for n, s in slots.items() if s in read_slots and n not in BAR_FIELDS),
        fingerprint=blake2b(meaning.encode(), digest_size=8).hexdigest(),
    )


def check(indicators: Iterable[Indicator], rules: Iterable[Rule]) -> None:
    """Raise ``IndicatorError`` or ``RuleError`` for the first one that cannot be computed."""
    slots = Layout.of(indicators).slots
    for rule in rules:
        compile_rule(rule, slots)


def _translate(rule: Rule, field: str, text: str, places: Places) -> Translation:
    try:
        translation = _translated(text, places)
        if translation.kind is not Kind.CONDITION:
            raise RuleError(f"expected a condition such as {text.strip()} > 0, this is a number", 1)
    except RuleError as error:
        raise RuleError(f"rule {rule.name!r}, {field}: {error.message}", error.column) from None
    return translation


# The operator checks the rules of all its pipelines at each look, and they are mostly the same ones.
@lru_cache(_KEPT)
def _translated(text: str, places: Places) -> Translation:
    return translate(text, dict(places))


@lru_cache(_KEPT)
def _compiled(source: str) -> Condition:
    # The source is the translator's own; of what the user wrote, only finite numbers are in it.
    return cast(Condition, eval(f"lambda now, past: {source}", BUILTINS))  # noqa: S307
