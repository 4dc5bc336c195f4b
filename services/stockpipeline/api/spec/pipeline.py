"""The `spec` of a StockPipeline as a whole, and the checks between its parts."""

from typing import Annotated

from pydantic import Field

from stockpipeline.api.base import ApiModel, Check, Unique
from stockpipeline.api.spec.batch import Batch
from stockpipeline.api.spec.delivery import Delivery, Scaling
from stockpipeline.api.spec.indicators import DEFAULT_INDICATORS, Bars, Indicator
from stockpipeline.api.spec.lifecycle import DeletionPolicy, Mode, Rollout, UpgradePolicy
from stockpipeline.api.spec.rules import DEFAULT_RULES, Performance, Rule
from stockpipeline.api.spec.servers import Kafka, Redis
from stockpipeline.api.spec.sources import ReplaySource, Source
from stockpipeline.api.spec.store import Console, ReplicaSync, Store
from stockpipeline.api.spec.universe import Universe
from stockpipeline.api.spec.workloads import LogLevel, Tracing, Workload


def _fixed(field: str) -> Check:
    """A field of a replay that decides which tick has which number; a producer goes on after the last.

    At the level of the spec, because there is no old self of a list's item whose key has changed. A replay is
    the only source, so it is the first.
    """
    return Check(
        "!has(self.sources[0].replay) || !has(oldSelf.sources[0].replay) || "
        f"self.sources[0].{field} == oldSelf.sources[0].{field}",
        f"sources: {field} cannot change: the ticks that were sent would not be those of the new source, and "
        "it could not go on after them; delete the pipeline and make it anew",
    )


class StockPipelineSpec(ApiModel):
    """What the pipeline should be."""

    suspend: bool = False
    """Stop the pipeline's workloads and keep its topics, history and state, so that it can go on later."""

    mode: Mode = Mode.APPLY
    """Apply: changes are made at once. Plan: what would change is shown in status.plan, and made when the
    annotation stockpipeline.dev/approve has the plan's digest."""

    upgrade_policy: UpgradePolicy = UpgradePolicy.MANUAL
    """What happens when the operator has been upgraded. Manual: the release stays on the chart and image that
    it was made with until the annotation stockpipeline.dev/approve has the digest that the condition
    UpgradeAvailable names. Auto: the upgrade is taken (see rollout.window)."""

    rollout: Rollout = Rollout()
    """When changes that restart pods are made."""

    deletion_policy: DeletionPolicy = DeletionPolicy.DELETE
    """What happens to topics, keys in Redis, store and history when the pipeline is deleted: Delete or
    Retain."""

    log_level: LogLevel = LogLevel.INFO
    """The least important events that the pipeline's services and the steps of its batch log. A change
    restarts the services."""

    tracing: Tracing | None = None
    """Traces by OpenTelemetry. Without it: none. A change restarts the services."""

    universe: Universe
    """Which symbols the pipeline follows, and on which exchange."""

    sources: Annotated[tuple[Source, ...], Field(min_length=1, max_length=8), Unique("name")]
    """Where market data comes from, the preferred source first: for each symbol, the next one takes over
    where those before it are silent. A replay must be the only one."""

    kafka: Kafka = Kafka()
    """The Kafka cluster that carries ticks and signals."""

    redis: Redis = Redis()
    """The Redis server that keeps the history which indicators warm up from."""

    bars: Bars = Bars()
    """The bars that ticks are gathered into."""

    indicators: Annotated[tuple[Indicator, ...], Field(min_length=1, max_length=64), Unique("name")] = (
        DEFAULT_INDICATORS
    )
    """Indicators to compute. Default: RSI, MACD and Bollinger bands with the usual periods."""

    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=64), Unique("name")] = DEFAULT_RULES
    """Rules that make signals. Default: RSI below 30 and above 70, touches of the Bollinger bands, MACD
    crossing its signal line, and a recommendation from strong buy to strong sell over all three."""

    performance: Performance | None = None
    """How signals are judged: what each would have earned. Without it: not at all."""

    delivery: Delivery = Delivery()
    """How the detector hands over what it finds."""

    scaling: Scaling = Scaling()
    """Over how many pods the work is spread."""

    producer: Workload = Workload()
    """How the producer's pods run."""

    detector: Workload = Workload()
    """How the detector's pods run."""

    batch: Batch | None = None
    """The nightly batch. Without it: none."""

    store: Store | None = None
    """The DuckDB master. Without it: none."""

    replica_sync: ReplicaSync | None = None
    """Read-only copies of the store. Without it: none."""

    console: Console | None = None
    """The web console. Without it: none."""

    checks = (
        Check(
            "size(self.sources) == 1 || !self.sources.exists(source, has(source.replay))",
            "a replay must be the only source: it has a clock of its own",
            lambda spec: len(spec.sources) == 1 or all(source.replay is None for source in spec.sources),
        ),
        Check(
            "has(self.sources[0].replay) == has(oldSelf.sources[0].replay)",
            "sources cannot change between a replay and live data: their times do not go together; "
            "delete the pipeline and make it anew",
        ),
        _fixed("name"),
        *(
            _fixed(f"replay.{ReplaySource.model_fields[name].alias}")
            for name in ("start", "ticks_per_bar", "seed")
        ),
        Check(
            "!has(self.sources[0].replay) || !has(oldSelf.sources[0].replay) || "
            "!(self.sources[0].replay.loop || oldSelf.sources[0].replay.loop) || "
            "(has(self.sources[0].replay.end) && has(oldSelf.sources[0].replay.end) && "
            "self.sources[0].replay.end == oldSelf.sources[0].replay.end)",
            "sources: replay.end cannot change where replay.loop is or was set: later laps would be in other "
            "sessions; delete the pipeline and make it anew",
        ),
        Check(
            "!has(self.performance) || !has(self.performance.benchmark) || "
            "self.performance.benchmark in self.universe.symbols",
            "performance.benchmark must be one of universe.symbols: its ticks are needed",
            lambda spec: (
                spec.performance is None
                or spec.performance.benchmark is None
                or spec.performance.benchmark in spec.universe.symbols
            ),
        ),
        Check(
            "self.scaling.detector.replicas <= self.kafka.partitions && "
            "(!has(self.scaling.detector.autoscaling) || "
            "self.scaling.detector.autoscaling.maxReplicas <= self.kafka.partitions)",
            "scaling.detector: there cannot be more detectors than kafka.partitions",
            lambda spec: (
                max(
                    spec.scaling.detector.replicas,
                    spec.scaling.detector.autoscaling.max_replicas
                    if spec.scaling.detector.autoscaling is not None
                    else 1,
                )
                <= spec.kafka.partitions
            ),
        ),
        Check(
            "!has(self.replicaSync) || has(self.store)",
            "replicaSync needs store: replicas are copies of it",
            lambda spec: spec.replica_sync is None or spec.store is not None,
        ),
    )
