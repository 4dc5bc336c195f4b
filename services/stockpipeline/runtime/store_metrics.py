"""What the store and its replicas export."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_PUBLISH_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
# From a commit, over its publication, to the replica that has it: two intervals of seconds.
_FRESHNESS_BUCKETS = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 60.0, 300.0)


class StoreMetrics:
    """What the writer exports; `pipeline` is the resource's name."""

    def __init__(self, registry: CollectorRegistry, pipeline: str) -> None:
        self._pipeline = pipeline
        self._records = Counter(
            "stockpipeline_store_records_total",
            "Records of a topic that were committed to the master",
            ["pipeline", "topic"],
            registry=registry,
        )
        self._refused = Counter(
            "stockpipeline_store_refused_records_total",
            "Records that are not what their topic should have",
            ["pipeline", "topic"],
            registry=registry,
        )
        self._publish_failures = Counter(
            "stockpipeline_store_publish_failures_total",
            "Publications that failed and are tried again, by the kind of error",
            ["pipeline", "error"],
            registry=registry,
        )

        self._forgotten = Counter(
            "stockpipeline_store_forgotten_rows_total",
            "Rows that the configured history gave up",
            ["pipeline", "table"],
            registry=registry,
        )

        self._deliveries = Counter(
            "stockpipeline_store_deliveries_total",
            "Deliveries of the batch that were loaded, or refused because of what they are",
            ["pipeline", "result"],
            registry=registry,
        )
        self._delivered = Counter(
            "stockpipeline_store_delivered_rows_total",
            "Rows of deliveries that were new, differed or were deleted",
            ["pipeline", "table"],
            registry=registry,
        )

        def of_run(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"stockpipeline_batch_{name}", text, ["pipeline", *labels], registry=registry)

        self._run_session = of_run(
            "loaded_session_seconds",
            "Midnight UTC of the newest session that the batch has loaded, seconds since the epoch",
        )
        # By the names that the store's table `runs` has for them.
        self._run = {
            "coverage": of_run(
                "coverage_ratio", "Share of that session's active stocks that have its bar; 0 to 1"
            ),
            "watchlist": of_run("watchlist_stocks", "Stocks that the scan of that session picked"),
        }
        self._run_counts = {
            "outcome": of_run("stocks", "Stocks of that session by what became of their download", "outcome"),
            "problem": of_run(
                "problems", "Problems that were found in what was downloaded for it, by kind", "problem"
            ),
        }
        # A counter that begins with its first refusal shows no increase: the alert would miss that one.
        for result in ("loaded", "refused"):
            self._deliveries.labels(pipeline, result)
        for topic in ("signals", "performance"):
            self._refused.labels(pipeline, topic)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"stockpipeline_store_{name}", text, ["pipeline"], registry=registry).labels(
                pipeline
            )

        def counter(name: str, text: str) -> Counter:
            full = f"stockpipeline_store_{name}"
            return Counter(full, text, ["pipeline"], registry=registry).labels(pipeline)

        self.commits = counter("commits_total", "Transactions of the master")
        self.lag = gauge("lag_records", "Offsets between what the master holds and the ends of its topics")
        self.lost = counter(
            "lost_records_total", "Offsets that Kafka's retention had deleted before they were loaded"
        )
        self.size = gauge("size_bytes", "Size of the master")
        self.free = gauge("free_bytes", "Free space on the master's volume")
        self.empty = gauge("empty_bytes", "Blocks of the master that hold nothing; later rows go there")
        self.compactions = counter("compactions_total", "Times that the master was written anew without such")
        self.waiting_deliveries = gauge(
            "waiting_deliveries", "Deliveries of the batch that are not loaded yet"
        )
        self.generation = gauge("generation", "The newest generation that was published from here")
        self.changed = counter(
            "changed_bytes_total", "Bytes of blocks that differed from the generation before"
        )
        self.uploaded = counter("uploaded_bytes_total", "Bytes that went to the object store, compressed")
        self.generations = gauge("kept_generations", "Generations that can be restored")
        self.publish_seconds = Histogram(
            "stockpipeline_store_publish_seconds",
            "Time of a publication: lock, scan, upload",
            ["pipeline"],
            buckets=_PUBLISH_BUCKETS,
            registry=registry,
        ).labels(pipeline)

    def loaded(self, topic: str, count: int) -> None:
        """Count records in a committed transaction; `topic` is the short name."""
        self._records.labels(self._pipeline, topic).inc(count)

    def refused(self, topic: str) -> None:
        """Count a record that could not be read."""
        self._refused.labels(self._pipeline, topic).inc()

    def forgotten(self, table: str, rows: int) -> None:
        """Count rows that were deleted because of their age."""
        self._forgotten.labels(self._pipeline, table).inc(rows)

    def delivered(self, rows: Mapping[str, int]) -> None:
        """Count a delivery that was loaded, and what it changed by table."""
        self._deliveries.labels(self._pipeline, "loaded").inc()
        for table, count in rows.items():
            self._delivered.labels(self._pipeline, table).inc(count)

    def refused_delivery(self) -> None:
        """Count a delivery that cannot be loaded."""
        self._deliveries.labels(self._pipeline, "refused").inc()

    def show_run(self, session: date, measures: Mapping[str, float]) -> None:
        """Show the figures of the batch's newest session, by the names that they have in the store."""
        self._run_session.labels(self._pipeline).set(datetime.combine(session, time(), UTC).timestamp())
        for name, gauge in self._run.items():
            gauge.clear()
            if name in measures:
                gauge.labels(self._pipeline).set(measures[name])
        for kind, gauge in self._run_counts.items():
            gauge.clear()
            for name, count in measures.items():
                if name.startswith(f"{kind} "):
                    gauge.labels(self._pipeline, name.removeprefix(f"{kind} ")).set(count)

    def publish_failed(self, error: str) -> None:
        """Count a publication that failed."""
        self._publish_failures.labels(self._pipeline, error).inc()


class ReplicaMetrics:
    """What a replica exports; `pipeline` is the resource's name. What is not known yet is not exported."""

    def __init__(self, registry: CollectorRegistry, pipeline: str) -> None:
        self._pipeline = pipeline

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"stockpipeline_replica_{name}", text, ["pipeline"], registry=registry)

        def counter(name: str, text: str) -> Counter:
            full = f"stockpipeline_replica_{name}"
            return Counter(full, text, ["pipeline"], registry=registry).labels(pipeline)

        self._gauges = {
            "generation": gauge("generation", "The generation that readers get"),
            "reader_generation": gauge("reader_generation", "The generation that the SQL endpoint reads"),
            "lag_generations": gauge("lag_generations", "Generations between the newest and this replica's"),
            "lag_seconds": gauge(
                "lag_seconds", "How long ago this replica's generation was last known to be the newest"
            ),
            "scrub_age_seconds": gauge("scrub_age_seconds", "Time since all blocks were read and verified"),
            "size_bytes": gauge("size_bytes", "Size of the replica's current file"),
            "free_bytes": gauge("free_bytes", "Free space on the replica's volume"),
        }
        self.changed = counter(
            "changed_bytes_total", "Bytes of blocks that were fetched, as they are in files"
        )
        self.fetched = counter("fetched_bytes_total", "Bytes that came from the object store, compressed")
        self.verify_failures = counter(
            "verify_failures_total", "Blocks or objects that were not what their hash says"
        )
        self.pull_failures = counter("pull_failures_total", "Pulls that failed and are tried again")
        self.freshness = Histogram(
            "stockpipeline_replica_freshness_seconds",
            "From a commit of the master until readers of this replica get it, by the clocks of both",
            ["pipeline"],
            buckets=_FRESHNESS_BUCKETS,
            registry=registry,
        ).labels(pipeline)

    def show(self, name: str, value: float) -> None:
        """Set a gauge by its name without the prefix."""
        self._gauges[name].labels(self._pipeline).set(value)
