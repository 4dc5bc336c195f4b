"""Overview: every pipeline on one page; what is ready, fresh, behind, and what it earns."""

from observability.alerts.slo import RULES_LOADED
from observability.dashboards.board import Board, Kind, Panel, Query, Row

_AS_NAMESPACE = '"namespace", "$1", "pipeline_namespace", "(.+)"'


def _condition(kind: str) -> str:
    by = "cluster, pipeline_namespace, pipeline"
    gauge = f'stockpipeline_operator_pipeline_condition{{$status,condition="{kind}"}}'
    # Summed once more: what the relabelling leaves would be a column of its own.
    return f"max by ($by) (label_replace(max by ({by}) ({gauge}), {_AS_NAMESPACE}))"


BOARD = Board(
    "overview",
    "StockPipeline / Overview",
    "Every pipeline: whether it is ready and fresh, how far behind it is, what it signals and what that earned.",
    (
        Row(
            "Now",
            (
                Panel(
                    "Pipelines ready",
                    "Share of the pipelines whose condition Ready is true; suspended ones are not ready.",
                    "percentunit",
                    (Query(f"avg({_condition('Ready')})", "ready"),),
                    Kind.STAT,
                    width=4,
                    height=4,
                    limits=(0.5, 1),
                    low_is_bad=True,
                ),
                Panel(
                    "Stalled",
                    "Pipelines that wait for a person. Runbook: StockPipelineStalled.",
                    "short",
                    (Query(f"sum({_condition('Stalled')})", "stalled"),),
                    Kind.STAT,
                    width=4,
                    height=4,
                    limits=(1, 3),
                    decimals=0,
                ),
                Panel(
                    "Ticks",
                    "Ticks that the producers hand to Kafka.",
                    "cps",
                    (
                        Query(
                            "sum(rate(stockpipeline_producer_ticks_total{$pipelines}[$__rate_interval]))",
                            "ticks",
                        ),
                    ),
                    Kind.STAT,
                    width=4,
                    height=4,
                ),
                Panel(
                    "Signals",
                    "Signals in the shown time.",
                    "short",
                    (
                        Query(
                            "sum(increase(stockpipeline_detector_signals_total{$pipelines}[$__range]))",
                            "signals",
                        ),
                    ),
                    Kind.STAT,
                    width=4,
                    height=4,
                    decimals=0,
                ),
                Panel(
                    "Behind",
                    "Ticks that wait for a detector.",
                    "short",
                    (Query("sum(stockpipeline_detector_lag_records{$pipelines})", "lag"),),
                    Kind.STAT,
                    width=4,
                    height=4,
                    limits=(1000, 10000),
                    decimals=0,
                ),
                Panel(
                    "Alerts",
                    "Alerts that fire, of any severity. No data: nobody evaluates the rules.",
                    "short",
                    (
                        Query(
                            'sum(ALERTS{alertstate="firing",alertname=~"StockPipeline.*",cluster=~"$cluster"})'
                            f" or 0 * max({RULES_LOADED})",
                            "alerts",
                        ),
                    ),
                    Kind.STAT,
                    width=4,
                    height=4,
                    limits=(1, 3),
                    decimals=0,
                ),
            ),
        ),
        Row(
            "Pipelines",
            (
                Panel(
                    "Pipelines",
                    "One row for each. A cell without a value is not known; ready, fresh, stalled and batch are 1 or 0.",
                    "short",
                    (
                        Query(_condition("Ready"), "ready"),
                        Query(_condition("DataFresh"), "fresh"),
                        Query(_condition("Stalled"), "stalled"),
                        Query(_condition("BatchSucceeded"), "batch"),
                        Query(
                            "sum by ($by) (rate(stockpipeline_producer_ticks_total{$pipelines}[$__rate_interval]))",
                            "ticks/s",
                        ),
                        Query("sum by ($by) (stockpipeline_detector_lag_records{$pipelines})", "lag"),
                        Query(
                            "sum by ($by) (increase(stockpipeline_detector_signals_total{$pipelines}[$__range]))",
                            "signals",
                        ),
                        Query(
                            "sum by ($by) (increase(stockpipeline_signal_gains_ratio_total{$pipelines}[$__range]))"
                            " - sum by ($by) (increase(stockpipeline_signal_losses_ratio_total{$pipelines}[$__range]))",
                            "net return",
                        ),
                    ),
                    Kind.TABLE,
                    width=24,
                    height=9,
                    decimals=2,
                ),
            ),
        ),
        Row(
            "Over time",
            (
                Panel(
                    "Ticks by pipeline",
                    "Ticks that the producers hand to Kafka.",
                    "cps",
                    (
                        Query(
                            "sum by ($by) (rate(stockpipeline_producer_ticks_total{$pipelines}[$__rate_interval]))"
                        ),
                    ),
                ),
                Panel(
                    "Age of the newest processed tick",
                    "How long ago the newest processed tick came to Kafka; 0 while none waits. More than 10 s misses "
                    "what is promised.",
                    "s",
                    (Query("max by ($by) (stockpipeline_detector_watermark_age_seconds{$pipelines})"),),
                    limits=(10, 60),
                ),
                Panel(
                    "Signals by pipeline",
                    "Signals that readers can see, per hour.",
                    "short",
                    (
                        Query(
                            "3600 * sum by ($by) "
                            "(rate(stockpipeline_detector_signals_total{$pipelines}[$__rate_interval]))"
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Processes",
            (
                Panel(
                    "Memory",
                    "Resident memory of producers, detectors and the operator.",
                    "bytes",
                    (
                        Query(
                            'sum by (namespace, component) (process_resident_memory_bytes{cluster=~"$cluster",'
                            'component=~"producer|detector|operator"})',
                            "{{namespace}} {{component}}",
                        ),
                    ),
                    width=8,
                ),
                Panel(
                    "CPU",
                    "Cores in use.",
                    "short",
                    (
                        Query(
                            'sum by (namespace, component) (rate(process_cpu_seconds_total{cluster=~"$cluster",'
                            'component=~"producer|detector|operator"}[$__rate_interval]))',
                            "{{namespace}} {{component}}",
                        ),
                    ),
                    width=8,
                ),
                Panel(
                    "Answering",
                    "Whether each component answers when asked for its metrics. Runbook: StockPipelineTargetDown.",
                    "short",
                    (
                        Query(
                            'min by (namespace, component) (up{cluster=~"$cluster",component!=""})',
                            "{{namespace}} {{component}}",
                        ),
                    ),
                    Kind.STATES,
                    width=8,
                    names={"0": ("down", "red"), "1": ("up", "green")},
                ),
            ),
        ),
    ),
)
