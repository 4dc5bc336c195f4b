"""Detector: is it behind, where does its time go, what state are its symbols in."""

from observability.dashboards.board import NAME, Board, Kind, Panel, Query, Row
from observability.dashboards.pipeline import quantiles


def _rate(metric: str) -> str:
    return f"sum by ($by) (rate(stockpipeline_detector_{metric}{{$pipelines}}[$__rate_interval]))"


_PODS = 'cluster=~"$cluster",namespace=~"$namespace",component="detector"'
_POD = "{{namespace}}/{{pod}}"

BOARD = Board(
    "detector",
    "StockPipeline / Detector",
    "Whether the detectors keep up, where their time goes, and what can be expected of their symbols.",
    (
        Row(
            "Keeping up",
            (
                Panel(
                    "Lag",
                    "Ticks that wait in the owned partitions. "
                    "Runbooks: StockPipelineLagGrowing, StockPipelineDetectorStuck.",
                    "short",
                    (
                        Query(
                            "sum by ($by, pod) (stockpipeline_detector_lag_records{$pipelines})",
                            f"{NAME} {{{{pod}}}}",
                        ),
                    ),
                    limits=(1000, 10000),
                ),
                Panel(
                    "Age of the newest processed tick",
                    "How long ago it came to Kafka; 0 while none waits.",
                    "s",
                    (Query("max by ($by) (stockpipeline_detector_watermark_age_seconds{$pipelines})"),),
                    limits=(10, 60),
                ),
                Panel(
                    "Ticks",
                    "Records read from Kafka, refused ones included.",
                    "cps",
                    (Query(_rate("ticks_total")),),
                ),
                Panel(
                    "Tick to signal",
                    "From a tick's arrival in Kafka until its signal can be read. 99 % within 1 s are promised. "
                    "Where Prometheus keeps exemplars, single signals are marked, with their ids.",
                    "s",
                    quantiles("stockpipeline_detector_tick_to_signal_seconds", exemplars=True),
                    limits=(0.5, 1),
                ),
                Panel(
                    "Distribution of tick to signal",
                    "The same, all of it.",
                    "s",
                    (
                        Query(
                            "sum by (le) (increase(stockpipeline_detector_tick_to_signal_seconds_bucket{$pipelines}"
                            "[$__rate_interval]))",
                            "{{le}}",
                        ),
                    ),
                    Kind.HEATMAP,
                ),
                Panel(
                    "Symbols by state",
                    "Ready; warming: too few bars to signal; stale: no tick for a whole session in which others "
                    "traded. Runbook: StockPipelineSymbolsWarming.",
                    "short",
                    (
                        Query(
                            "sum by ($by, state) (stockpipeline_detector_symbols{$pipelines})",
                            f"{NAME} {{{{state}}}}",
                        ),
                    ),
                    Kind.STACK,
                ),
            ),
        ),
        Row(
            "Where the time goes",
            (
                Panel(
                    "Time by stage",
                    "Share of the main loop's time: take (decode and evaluate), produce, commit. The rest waits for "
                    "ticks.",
                    "percentunit",
                    (
                        Query(
                            "sum by ($by, stage) "
                            "(rate(stockpipeline_detector_stage_seconds_sum{$pipelines}[$__rate_interval]))",
                            f"{NAME} {{{{stage}}}}",
                        ),
                    ),
                    Kind.STACK,
                ),
                Panel(
                    "Duration by stage",
                    "Of one batch or one commit.",
                    "s",
                    quantiles(
                        "stockpipeline_detector_stage_seconds", "stage", legend=f"{NAME} {{{{stage}}}}"
                    ),
                ),
                Panel(
                    "Ticks in a batch",
                    "Ticks that were taken together: 1 when there is time, up to 1,000 when there is not.",
                    "short",
                    quantiles("stockpipeline_detector_batch_records"),
                ),
            ),
        ),
        Row(
            "What goes wrong",
            (
                Panel(
                    "Refused",
                    "Ticks that changed nothing, by reason.",
                    "cps",
                    (
                        Query(
                            "sum by ($by, reason) "
                            "(rate(stockpipeline_detector_refused_ticks_total{$pipelines}[$__rate_interval]))",
                            f"{NAME} {{{{reason}}}}",
                        ),
                    ),
                ),
                Panel(
                    "Aborted transactions",
                    "Done again each; per minute. Runbook: StockPipelineTransactionsAborted.",
                    "cpm",
                    (Query(f"60 * {_rate('transactions_aborted_total')}"),),
                ),
                Panel(
                    "Rebalances",
                    "Changes of the owned partitions, per minute. Runbook: StockPipelineRebalancing.",
                    "cpm",
                    (Query(f"60 * {_rate('rebalances_total')}"),),
                ),
            ),
        ),
        Row(
            "Processes",
            (
                Panel(
                    "Memory",
                    "Resident memory by pod.",
                    "bytes",
                    (Query(f"max by (namespace, pod) (process_resident_memory_bytes{{{_PODS}}})", _POD),),
                ),
                Panel(
                    "CPU",
                    "Cores in use by pod.",
                    "short",
                    (
                        Query(
                            "sum by (namespace, pod) "
                            f"(rate(process_cpu_seconds_total{{{_PODS}}}[$__rate_interval]))",
                            _POD,
                        ),
                    ),
                ),
                Panel(
                    "Garbage collections",
                    "Of Python, by generation; full ones (2) hold up ticks.",
                    "cps",
                    (
                        Query(
                            "sum by (namespace, pod, generation) "
                            f"(rate(python_gc_collections_total{{{_PODS}}}[$__rate_interval]))",
                            f"{_POD} {{{{generation}}}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
)
