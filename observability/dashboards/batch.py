"""Batch and data quality: are the nights on time, where do they spend it, and how good is what they bring."""

from observability.alerts.rule import in_its_namespace
from observability.dashboards.board import NAME, Board, Kind, Panel, Query, Row


def _run(series: str, labels: str = "") -> str:
    """What the operator says of the runs; summed once more, or `pipeline_namespace` would be a column."""
    by = "cluster, pipeline_namespace, pipeline" + labels
    return f"max by ($by{labels}) ({in_its_namespace(f'max by ({by}) ({series})')})"


def _gauge(name: str, labels: str = "") -> str:
    return _run(f"stockpipeline_batch_{name}{{$status}}", labels)


_SUCCEEDED = _run('stockpipeline_operator_pipeline_condition{$status,condition="BatchSucceeded"}')
_AIRFLOW = 'min by (namespace, part) (stockpipeline_airflow_healthy{cluster=~"$cluster"})'
_NIGHTS = 'sum by (namespace) (stockpipeline_airflow_pipelines{cluster=~"$cluster"})'


def _delivered(by: str) -> str:
    series = "stockpipeline_store_delivered_rows_total{$pipelines}"
    return f"sum by ($by, {by}) (increase({series}[$__rate_interval]))"


BOARD = Board(
    "batch",
    "StockPipeline / Batch and data quality",
    "The nightly batch: whether it is on time, what failed and where its time goes, and how good the data are.",
    (
        Row(
            "Now",
            (
                Panel(
                    "Batches",
                    "One row for each. Coverage is that of the newest session in the store; a cell without a value "
                    "is not known.",
                    "short",
                    (
                        Query(_SUCCEEDED, "succeeded"),
                        Query(_gauge("overdue"), "overdue"),
                        Query("max by ($by) (stockpipeline_batch_coverage_ratio{$pipelines})", "coverage"),
                        Query(_gauge("minimum_coverage_ratio"), "needed"),
                        Query("max by ($by) (stockpipeline_batch_watchlist_stocks{$pipelines})", "watchlist"),
                    ),
                    Kind.TABLE,
                    width=16,
                    decimals=3,
                ),
                Panel(
                    "Failure of the last run",
                    "The step and the error with which a run ended; no data: none did. The condition "
                    "BatchSucceeded has the sentence. Runbooks: StockPipelineBatchFailed, "
                    "StockPipelineCoverageTooLow.",
                    "short",
                    (Query(_gauge("failure", ", step, error"), "failed"),),
                    Kind.TABLE,
                ),
            ),
        ),
        Row(
            "Runs",
            (
                Panel(
                    "On time",
                    "Whether every session is done three hours after its run should begin. Runbook: "
                    "StockPipelineBatchBurn.",
                    "short",
                    (Query(_gauge("overdue")),),
                    Kind.STATES,
                    width=12,
                    names={"0": ("on time", "green"), "1": ("overdue", "red")},
                ),
                Panel(
                    "Last run",
                    "How the last run ended. Runbook: StockPipelineBatchFailed.",
                    "short",
                    (Query(_SUCCEEDED),),
                    Kind.STATES,
                    width=12,
                    names={"0": ("failed", "red"), "1": ("succeeded", "green")},
                ),
                Panel(
                    "Age of the newest session that is done",
                    "Since midnight UTC of that day: 4 days after a weekend are usual.",
                    "s",
                    (Query(f"time() - {_gauge('done_session_seconds')}"),),
                ),
                Panel(
                    "Since the last run ended",
                    "Whether it succeeded or failed.",
                    "s",
                    (Query(f"time() - {_gauge('ended_seconds')}"),),
                ),
                Panel(
                    "Under way for",
                    "No data while no run is under way.",
                    "s",
                    (Query(f"time() - {_gauge('began_seconds')}"),),
                    limits=(7200, 10800),
                ),
                Panel(
                    "Length of the last run",
                    "From its first step until Redis had the session or it failed, retries and waits included.",
                    "s",
                    (Query(_gauge("run_seconds")),),
                    limits=(7200, 10800),
                ),
                Panel(
                    "Time by step",
                    "Of the newest try of each step, waits for its pod included; of the download, its longest part.",
                    "s",
                    (Query(_gauge("step_seconds", ", step"), f"{NAME} {{{{step}}}}"),),
                    width=16,
                ),
            ),
        ),
        Row(
            "Data",
            (
                Panel(
                    "Coverage",
                    "Share of the active stocks that have the bar of the newest session in the store, and the share "
                    "that its gate wants. Runbook: StockPipelineCoverageTooLow.",
                    "percentunit",
                    (
                        Query("max by ($by) (stockpipeline_batch_coverage_ratio{$pipelines})", NAME),
                        Query(_gauge("minimum_coverage_ratio"), f"{NAME} needed"),
                    ),
                ),
                Panel(
                    "Stocks by outcome",
                    "What became of the downloads for that session.",
                    "short",
                    (
                        Query(
                            "max by ($by, outcome) (stockpipeline_batch_stocks{$pipelines})",
                            f"{NAME} {{{{outcome}}}}",
                        ),
                    ),
                    Kind.STACK,
                ),
                Panel(
                    "Problems by kind",
                    "In what was downloaded for that session. Such rows are quarantined; the store's table quality "
                    "has them.",
                    "short",
                    (
                        Query(
                            "max by ($by, problem) (stockpipeline_batch_problems{$pipelines})",
                            f"{NAME} {{{{problem}}}}",
                        ),
                    ),
                    Kind.STACK,
                ),
                Panel(
                    "Age of the newest session in the store",
                    "Since midnight UTC of that day; all other figures of this row are this session's.",
                    "s",
                    (
                        Query(
                            "time() - max by ($by) (stockpipeline_batch_loaded_session_seconds{$pipelines})"
                        ),
                    ),
                ),
                Panel(
                    "Watchlist",
                    "Stocks that the scan of that session picked.",
                    "short",
                    (Query("max by ($by) (stockpipeline_batch_watchlist_stocks{$pipelines})"),),
                    decimals=0,
                ),
                Panel(
                    "Rows that were loaded",
                    "Rows that were new, differed or were deleted, by table of the store. Runbook: "
                    "StockPipelineStoreDeliveryRefused.",
                    "short",
                    (Query(_delivered("table"), f"{NAME} {{{{table}}}}"),),
                ),
            ),
        ),
        Row(
            "Airflow",
            (
                Panel(
                    "Parts",
                    "Whether each part of Airflow is well; of the whole cluster. Runbook: "
                    "StockPipelineAirflowUnhealthy.",
                    "short",
                    (Query(_AIRFLOW, "{{namespace}} {{part}}"),),
                    Kind.STATES,
                    width=16,
                    names={"0": ("not well", "red"), "1": ("well", "green")},
                ),
                Panel(
                    "Pipelines",
                    "Pipelines whose batch it runs.",
                    "short",
                    (Query(_NIGHTS, "{{namespace}}"),),
                    decimals=0,
                ),
            ),
        ),
    ),
)
