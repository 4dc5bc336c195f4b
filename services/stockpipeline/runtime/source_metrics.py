"""What live sources and the fallback chain export; label `source` is the name in the pipeline."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from stockpipeline.market.ticks import MalformedReason

# From the exchange's event over the provider to Kafka's queue; event times often are whole seconds.
_LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class SourceMetrics:
    """The metrics of one producer's live sources."""

    def __init__(self, registry: CollectorRegistry, pipeline: str) -> None:
        self._pipeline = pipeline
        by_source = ["pipeline", "source"]
        self._dropped = Counter(
            "stockpipeline_producer_dropped_ticks_total",
            "Ticks that a source gave and that were not sent, by reason: standby (another source serves the "
            "symbol), late (older than the newest sent), future (by more than clocks may differ), superseded "
            "(Kafka was away for too long: a newer one of the symbol took its place), fenced (the lease "
            "of this producer is over: another one may serve the symbol)",
            ["pipeline", "source", "reason"],
            registry=registry,
        )
        self._latency = Histogram(
            "stockpipeline_producer_event_to_produce_seconds",
            "From the exchange's event time to the hand-over to Kafka's client",
            by_source,
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )
        self._staleness = Gauge(
            "stockpipeline_producer_staleness_seconds",
            "Time of open exchange since the symbol that is silent for longest was heard of",
            ["pipeline"],
            registry=registry,
        ).labels(pipeline)
        self._symbols = Gauge(
            "stockpipeline_producer_symbols",
            "Symbols by state: live or stale (no source has them while the exchange is open)",
            ["pipeline", "state"],
            registry=registry,
        )
        self._served = Gauge(
            "stockpipeline_producer_served_symbols",
            "Symbols that a source serves now",
            by_source,
            registry=registry,
        )
        self._breaker = Gauge(
            "stockpipeline_producer_breaker_state",
            "Circuit breaker of a source: 0 closed, 1 half open, 2 open",
            by_source,
            registry=registry,
        )
        self._switches = Counter(
            "stockpipeline_producer_switches_total",
            "Symbols that went over to a source",
            by_source,
            registry=registry,
        )
        self._rate_waits = Counter(
            "stockpipeline_producer_rate_limit_wait_seconds_total",
            "Time that requests waited for their turn",
            by_source,
            registry=registry,
        )
        self._rate_refusals = Counter(
            "stockpipeline_producer_rate_limit_refusals_total",
            "Answers that said there were too many requests",
            by_source,
            registry=registry,
        )
        self._token_age = Gauge(
            "stockpipeline_producer_token_age_seconds",
            "Age of a source's access token",
            by_source,
            registry=registry,
        )
        self._reconnects = Counter(
            "stockpipeline_producer_reconnects_total",
            "Connections made after the first",
            by_source,
            registry=registry,
        )
        self._dead_letters = Counter(
            "stockpipeline_producer_dead_letters_total",
            "What a source gave and that is no tick, by reason",
            ["pipeline", "source", "reason"],
            registry=registry,
        )

    def expect(self, source: str) -> None:
        """Have a source's dead letters from 0 on: a counter that begins with the first shows no increase."""
        for reason in MalformedReason:
            self._dead_letters.labels(self._pipeline, source, reason)

    def latency(self, source: str, latency_seconds: float) -> None:
        """Note how long after its event a tick went to Kafka's client."""
        self._latency.labels(self._pipeline, source).observe(max(0.0, latency_seconds))

    def dropped(self, source: str, reason: str, count: int = 1) -> None:
        """Count ticks that were not sent."""
        self._dropped.labels(self._pipeline, source, reason).inc(count)

    def dead_letter(self, source: str, reason: str) -> None:
        """Count what is no tick."""
        self._dead_letters.labels(self._pipeline, source, reason).inc()

    def symbols(self, live: int, stale: int, staleness_seconds: float) -> None:
        """Set how the symbols are."""
        self._symbols.labels(self._pipeline, "live").set(live)
        self._symbols.labels(self._pipeline, "stale").set(stale)
        self._staleness.set(staleness_seconds)

    def source(self, source: str, served: int, breaker: int) -> None:
        """Set how a source is."""
        self._served.labels(self._pipeline, source).set(served)
        self._breaker.labels(self._pipeline, source).set(breaker)

    def switched(self, source: str, count: int) -> None:
        """Count symbols that went over to a source."""
        self._switches.labels(self._pipeline, source).inc(count)

    def waited(self, source: str, seconds: float) -> None:
        """Count the time that a request waited for its turn."""
        self._rate_waits.labels(self._pipeline, source).inc(seconds)

    def too_often(self, source: str) -> None:
        """Count an answer that said there were too many requests."""
        self._rate_refusals.labels(self._pipeline, source).inc()

    def token_age(self, source: str, seconds: float) -> None:
        """Set the age of a source's access token."""
        self._token_age.labels(self._pipeline, source).set(seconds)

    def reconnected(self, source: str) -> None:
        """Count a connection after the first."""
        self._reconnects.labels(self._pipeline, source).inc()
