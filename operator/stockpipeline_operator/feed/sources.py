"""Whether every symbol has a source that works. Pure.

Messages name sources and never count symbols: such a number changes with every look, and each change would be
a write of the status.
"""

from stockpipeline.api import StockPipelineSpec
from stockpipeline_operator.feed.judgement import Judgement
from stockpipeline_operator.feed.readings import Reading, SourceReading

_MOST_CHARACTERS = 500


def judge_sources(spec: StockPipelineSpec, reading: Reading | None) -> Judgement:
    """Judge the sources of a pipeline; `reading` is None where its producer does not answer."""
    if reading is None:
        message = "the producer does not answer; see the condition Ready for what keeps it"
        return Judgement(None, "ProducerSilent", message)
    if spec.sources[0].replay is not None:
        return Judgement(True, "Replay", "the pipeline replays data that are packaged with it")
    if not reading.sources:
        why = "; ".join(reading.waits_for)[:_MOST_CHARACTERS] or "its sources have not begun yet"
        return Judgement(False, "NotStarted", f"the producer waits: {why}")
    first = spec.sources[0].name
    # In the order of the spec: the most preferred first.
    order = {source.name: place for place, source in enumerate(spec.sources)}
    sources = sorted(reading.sources, key=lambda one: order.get(one.name, len(order)))
    states = "; ".join(_state(one) for one in sources)
    if reading.stale_symbols:
        which = "some symbols have no source that works" if reading.live_symbols else "no source works"
        return Judgement(False, "NoHealthySource", f"{which}: {states}")
    in_use = [one.name for one in sources if one.served]
    if in_use in ([], [first]):
        return Judgement(True, "Preferred", f"every symbol is served by its preferred source: {states}")
    return Judgement(True, "FallbackInUse", f"not every symbol is served by {first}: {states}")


def _state(source: SourceReading) -> str:
    """`kis serves`, `yahoo stands by`; the same for as long as nothing changes for the user."""
    failing = ", fails (its circuit breaker is open)" if source.tripped else ""
    return f"{source.name} {'serves' if source.served else 'stands by'}{failing}"
