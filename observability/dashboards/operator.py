"""Operator: who leads, does it keep up, what does it say of the pipelines."""

from observability.dashboards.board import Board, Kind, Panel, Query, Row

_HERE = 'cluster=~"$cluster"'


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate(stockpipeline_operator_{metric}{{{_HERE}}}[$__rate_interval]))"


_DURATIONS = tuple(
    Query(
        f"histogram_quantile({quantile}, {_rate('reconcile_duration_seconds_bucket', 'le')})",
        f"p{round(quantile * 100)}",
    )
    for quantile in (0.5, 0.95, 0.99)
)

BOARD = Board(
    "operator",
    "StockPipeline / Operator",
    "Who leads, whether passes keep up, what is changed and repaired, and what is said of each pipeline.",
    (
        Row(
            "At work",
            (
                Panel(
                    "Leading",
                    "The process that holds the Lease. Runbook: StockPipelineOperatorLeaderless.",
                    "short",
                    (
                        Query(
                            f"max by (namespace, pod) (stockpipeline_operator_leading{{{_HERE}}})",
                            "{{namespace}}/{{pod}}",
                        ),
                    ),
                    Kind.STATES,
                    names={"0": ("stands by", "blue"), "1": ("leads", "green")},
                ),
                Panel(
                    "Passes by result",
                    "Passes over pipelines. Runbooks: StockPipelineReconcileErrors, StockPipelineReconcileStuck.",
                    "cps",
                    (Query(_rate("reconciles_total", "result"), "{{result}}"),),
                ),
                Panel(
                    "Duration of a pass", "Of one pass over one pipeline.", "s", _DURATIONS, limits=(5, 30)
                ),
                Panel(
                    "Waiting pipelines",
                    "Pipelines that wait for a worker.",
                    "short",
                    (
                        Query(
                            f"max by (namespace, pod) (stockpipeline_operator_queue_depth{{{_HERE}}})",
                            "{{namespace}}/{{pod}}",
                        ),
                    ),
                    limits=(20, 100),
                ),
                Panel(
                    "Changes of releases",
                    "Helm's operations in the shown time. Runbook: StockPipelineHelmFailures.",
                    "short",
                    (
                        Query(
                            "sum by (operation, result) (increase(stockpipeline_operator_helm_operations_total"
                            f"{{{_HERE}}}[$__rate_interval]))",
                            "{{operation}} {{result}}",
                        ),
                    ),
                    Kind.STACK,
                ),
                Panel(
                    "Repairs",
                    "Objects that were put right because somebody changed or deleted them.",
                    "short",
                    (
                        Query(
                            "sum(increase(stockpipeline_operator_drift_corrections_total"
                            f"{{{_HERE}}}[$__rate_interval]))",
                            "repairs",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Pipelines",
            (
                Panel(
                    "Pipelines by condition",
                    "How many pipelines have each condition. Unknown is neither true nor false.",
                    "short",
                    (
                        Query(
                            f"sum by (condition, status) (stockpipeline_operator_pipelines{{{_HERE}}})",
                            "{{condition}} {{status}}",
                        ),
                    ),
                    width=12,
                ),
                Panel(
                    "Ready",
                    "Of each chosen pipeline. Runbooks: StockPipelineNotReady, StockPipelineStalled.",
                    "short",
                    (
                        Query(
                            "max by (pipeline_namespace, pipeline) "
                            '(stockpipeline_operator_pipeline_condition{$status,condition="Ready"})',
                            "{{pipeline_namespace}}/{{pipeline}}",
                        ),
                    ),
                    Kind.STATES,
                    width=12,
                    names={"0": ("not ready", "orange"), "1": ("ready", "green")},
                ),
            ),
        ),
        Row(
            "Process",
            (
                Panel(
                    "Silence of the watch",
                    "Time since the most silent watch of owned objects heard anything; it does every minute.",
                    "s",
                    (
                        Query(
                            f"max by (namespace, pod) (stockpipeline_operator_watch_age_seconds{{{_HERE}}})",
                            "{{namespace}}/{{pod}}",
                        ),
                    ),
                    limits=(90, 300),
                ),
                Panel(
                    "Memory",
                    "Resident memory by pod.",
                    "bytes",
                    (
                        Query(
                            f'max by (namespace, pod) (process_resident_memory_bytes{{{_HERE},component="operator"}})',
                            "{{namespace}}/{{pod}}",
                        ),
                    ),
                ),
                Panel(
                    "CPU",
                    "Cores in use by pod.",
                    "short",
                    (
                        Query(
                            "sum by (namespace, pod) (rate(process_cpu_seconds_total"
                            f'{{{_HERE},component="operator"}}[$__rate_interval]))',
                            "{{namespace}}/{{pod}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
    of_pipelines=False,
)
