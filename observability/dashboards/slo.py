"""SLO: for each promise, how much of it was missed, and how fast the allowance burns."""

from observability.alerts.slo import ERRORS, OBJECTIVES, WINDOWS, Objective
from observability.dashboards.board import NAME, Board, Kind, Panel, Query, Row


def _row(objective: Objective) -> Row:
    chosen = f'{{$pipelines,slo="{objective.slo}"}}'
    burn = tuple(
        Query(f"max by ($by) ({ERRORS}_{window}{chosen}) / {objective.allowed}", f"{NAME} {window}")
        for window in WINDOWS
    )
    left = f"1 - max by ($by) (avg_over_time({ERRORS}_5m{chosen}[30d])) / {objective.allowed}"
    runbook = f"Runbook: StockPipeline{objective.alert}."
    return Row(
        objective.title,
        (
            Panel(
                f"{objective.title}: allowance left",
                f"Of the {objective.allowed:.1%} that may be missed in 30 days, or since there are data. "
                f"{objective.promise}. {runbook}",
                "percentunit",
                (Query(left),),
                Kind.STAT,
                width=6,
                limits=(0, 0.25),
                low_is_bad=True,
                decimals=1,
            ),
            Panel(
                f"{objective.title}: kept",
                f"The share that kept it, by hour; {objective.target:.1%} are promised.",
                "percentunit",
                (Query(f"1 - max by ($by) ({ERRORS}_1h{chosen})"),),
                width=9,
            ),
            Panel(
                f"{objective.title}: burn rate",
                "How many times faster than sustainable the allowance is used. Alerts: 14.4 over 1 h, 6 over 6 h, 1 "
                f"over 3 d. {runbook}",
                "short",
                burn,
                width=9,
                limits=(1, 14.4),
            ),
        ),
    )


BOARD = Board(
    "slo",
    "StockPipeline / SLO",
    "What is promised of a live pipeline, by month: docs/observability.md. Of live data only open sessions count.",
    tuple(_row(objective) for objective in OBJECTIVES),
)
