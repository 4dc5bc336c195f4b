"""The metrics of the services, declared in one place; one registry per component.

No metric has a label per symbol: a universe has thousands, and Prometheus keeps a series for each.
"""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.context_managers import Timer
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_RETURN_BUCKETS = (-0.2, -0.1, -0.05, -0.02, -0.01, -0.005, 0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
# From a broker on the same node (a few ms) over a transaction (100 ms) to a detector that catches up. What is
# aimed at is a bound: 8 and 12 ms, 120 ms exactly once, and the second that is promised.
_LATENCY_BUCKETS = (0.002, 0.004, 0.008, 0.012, 0.025, 0.05, 0.08, 0.12, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

# A batch has 10,000 ticks at most (``kafka_consumer.MOST_AT_ONCE``).
_BATCH_BUCKETS = (1, 3, 10, 30, 100, 300, 1000, 3000, 9999)
_STAGE_BUCKETS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0)


def new_registry() -> CollectorRegistry:
    """Return a registry that already has the process's CPU, memory, descriptors and garbage collections."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class ProducerMetrics:
    """What every producer exports; `pipeline` is the resource's name, `source` the name of a data source."""

    def __init__(self, registry: CollectorRegistry, pipeline: str) -> None:
        self._pipeline = pipeline
        self._ticks = Counter(
            "stockpipeline_producer_ticks_total",
            "Ticks handed to Kafka",
            ["pipeline", "source"],
            registry=registry,
        )
        self.delivery_failures = Counter(
            "stockpipeline_producer_delivery_failures_total",
            "Ticks that Kafka refused for good",
            ["pipeline"],
            registry=registry,
        ).labels(pipeline)
        self.queue_messages = Gauge(
            "stockpipeline_producer_queue_messages",
            "Ticks that wait for Kafka's acknowledgement",
            ["pipeline"],
            registry=registry,
        ).labels(pipeline)
        self.event_time = Gauge(
            "stockpipeline_producer_event_time_seconds",
            "Exchange time of the last tick, seconds since the epoch",
            ["pipeline"],
            registry=registry,
        ).labels(pipeline)
        self.exhausted = Gauge(
            "stockpipeline_producer_exhausted",
            "1 when the source has no more ticks and all were acknowledged",
            ["pipeline"],
            registry=registry,
        ).labels(pipeline)
        self.owned_symbols = Gauge(
            "stockpipeline_producer_owned_symbols",
            "Symbols that this producer sends; several producers of a pipeline share them",
            ["pipeline"],
            registry=registry,
        ).labels(pipeline)
        self.session_open = Gauge(
            "stockpipeline_producer_session_open",
            "1 while ticks are to be expected at a pace: the exchange has a regular session, or a replay "
            "plays at a speed",
            ["pipeline"],
            registry=registry,
        ).labels(pipeline)

    def sent(self, source: str, count: int) -> None:
        """Count ticks of a source that were handed to Kafka."""
        self._ticks.labels(self._pipeline, source).inc(count)


class DetectorMetrics:
    """What a detector exports; `pipeline` is the resource's name."""

    def __init__(self, registry: CollectorRegistry, pipeline: str) -> None:
        self._pipeline = pipeline
        self.ticks = Counter(
            "stockpipeline_detector_ticks_total",
            "Ticks read from Kafka, refused ones included",
            ["pipeline"],
            registry=registry,
        ).labels(pipeline)
        self._refused = Counter(
            "stockpipeline_detector_refused_ticks_total",
            "Ticks that changed nothing, by reason: as dead letters, and late, duplicate, outside-session",
            ["pipeline", "reason"],
            registry=registry,
        )
        self._signals = Counter(
            "stockpipeline_detector_signals_total",
            "Signals in committed transactions",
            ["pipeline", "rule", "side"],
            registry=registry,
        )
        self.lag = Gauge(
            "stockpipeline_detector_lag_records",
            "Records between the detector's position and the end of its partitions",
            ["pipeline"],
            registry=registry,
        ).labels(pipeline)
        self._symbols = Gauge(
            "stockpipeline_detector_symbols",
            "Symbols of the assigned partitions: ready, warming (too few bars to signal), or stale (no tick "
            "for a whole session in which others traded)",
            ["pipeline", "state"],
            registry=registry,
        )
        self._tick_to_signal = Histogram(
            "stockpipeline_detector_tick_to_signal_seconds",
            "From the tick's arrival in Kafka to the commit that makes its signal visible",
            ["pipeline"],
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        ).labels(pipeline)
        self.batch = Histogram(
            "stockpipeline_detector_batch_records",
            "Ticks that were taken together, without asking Kafka in between",
            ["pipeline"],
            buckets=_BATCH_BUCKETS,
            registry=registry,
        ).labels(pipeline)
        self._stages = Histogram(
            "stockpipeline_detector_stage_seconds",
            "Time of the main loop by stage: take (a batch is decoded and evaluated), produce (what a commit "
            "needs is handed to Kafka's client), commit (until Kafka has committed it)",
            ["pipeline", "stage"],
            buckets=_STAGE_BUCKETS,
            registry=registry,
        )
        self.watermark_age = Gauge(
            "stockpipeline_detector_watermark_age_seconds",
            "How long ago the newest processed tick came to Kafka; 0 while no tick waits",
            ["pipeline"],
            registry=registry,
        ).labels(pipeline)
        self.rebalances = Counter(
            "stockpipeline_detector_rebalances_total",
            "Changes of the assigned partitions",
            ["pipeline"],
            registry=registry,
        ).labels(pipeline)
        self.transactions_aborted = Counter(
            "stockpipeline_detector_transactions_aborted_total",
            "Kafka transactions that were aborted and done again",
            ["pipeline"],
            registry=registry,
        ).labels(pipeline)

    def stage(self, name: str) -> Timer:
        """Return a context that measures its block as a stage of the main loop."""
        return self._stages.labels(self._pipeline, name).time()

    def refused(self, reason: str, count: int = 1) -> None:
        """Count ticks that changed nothing; `reason` is one of a fixed set of short names."""
        self._refused.labels(self._pipeline, reason).inc(count)

    def signal(self, identity: str, rule: str, side: str, seconds: float) -> None:
        """Count a signal that can be read, and how long it took since its tick came to Kafka.

        Its id is the exemplar of the histogram's bucket: from a slow one on a dashboard to the signal itself.
        """
        self._signals.labels(self._pipeline, rule, side).inc()
        self._tick_to_signal.observe(max(0.0, seconds), {"signal_id": identity})

    def symbols(self, state: str, count: int) -> None:
        """Set the number of symbols in a state."""
        self._symbols.labels(self._pipeline, state).set(count)


class PerformanceMetrics:
    """What a detector exports about its signals' performance; `pipeline` is the resource's name."""

    def __init__(self, registry: CollectorRegistry, pipeline: str) -> None:
        self._pipeline = pipeline
        self._returns = Histogram(
            "stockpipeline_signal_net_return_ratio",
            "Returns of signals at each horizon, side-signed and after costs; 0.01 is one percent",
            ["pipeline", "rule", "horizon"],
            buckets=_RETURN_BUCKETS,
            registry=registry,
        )
        self._gains = Counter(
            "stockpipeline_signal_gains_ratio_total",
            "Sum of the net returns above zero: over the losses, the profit factor",
            ["pipeline", "rule", "horizon"],
            registry=registry,
        )
        self._losses = Counter(
            "stockpipeline_signal_losses_ratio_total",
            "Sum of the net returns below zero, without their sign",
            ["pipeline", "rule", "horizon"],
            registry=registry,
        )
        self._open = Gauge(
            "stockpipeline_signal_open_signals",
            "Signals whose performance is not final",
            ["pipeline", "rule"],
            registry=registry,
        )

    def reached(self, rule: str, horizon: str, net_return: float) -> None:
        """Count the return of a signal at a horizon, in a committed transaction."""
        labels = (self._pipeline, rule, horizon)
        self._returns.labels(*labels).observe(net_return)
        self._gains.labels(*labels).inc(max(0.0, net_return))
        self._losses.labels(*labels).inc(max(0.0, -net_return))

    def open_signals(self, by_rule: Mapping[str, int]) -> None:
        """Set how many signals of each rule are open."""
        self._open.clear()
        for rule, count in by_rule.items():
            self._open.labels(self._pipeline, rule).set(count)
