"""Service levels: what is promised, how much of it is missed, and alerts on how fast the allowance burns.

Multi-window, multi-burn-rate alerts after the SRE Workbook, chapter 5: a long window so that it matters, a
short one so that it ends when the trouble ends.
"""

from dataclasses import dataclass

from observability.alerts.rule import BY, Alert, Group, Recording, in_its_namespace

WINDOWS = ("5m", "30m", "1h", "6h", "3d")
RULES_LOADED = "stockpipeline:rules:loaded"
ERRORS = "stockpipeline:sli_error:ratio"
"""With the window after it, such as `stockpipeline:sli_error:ratio_1h`; labels slo, namespace, pipeline."""


@dataclass(frozen=True)
class Objective:
    """One promise. `errors` is a query for the share that misses it, with $window for the time."""

    slo: str
    title: str
    promise: str
    target: float
    errors: str
    dashboard: str
    enough: str = ""
    """A condition of the alert: how much must have happened for a share to mean something."""

    @property
    def alert(self) -> str:
        """The alert's name without the common prefix."""
        return f"{self.slo.capitalize()}Burn"

    @property
    def allowed(self) -> float:
        """The share that may miss it."""
        return round(1 - self.target, 6)


_STALE = "stockpipeline:stale_symbols:ratio"
_LATE = "stockpipeline:watermark_late:bool"
_OVERDUE = "stockpipeline:batch_overdue:bool"
_LATENCY = "stockpipeline_detector_tick_to_signal_seconds"
_FRESHNESS = "stockpipeline_replica_freshness_seconds"

OBJECTIVES = (
    Objective(
        slo="freshness",
        title="Freshness",
        promise="While the exchange is open, a symbol of a live pipeline has a source that speaks of it",
        target=0.995,
        errors=f"avg_over_time({_STALE}[$window])",
        dashboard="producer",
    ),
    Objective(
        slo="processing",
        title="Processing",
        promise="In sessions, the newest processed tick came to Kafka at most 10 s ago, or none waits",
        target=0.995,
        errors=f"avg_over_time({_LATE}[$window])",
        dashboard="detector",
    ),
    Objective(
        slo="latency",
        title="Signal latency",
        promise="A signal can be read within 1 s of the arrival of its tick in Kafka",
        target=0.99,
        errors=f'1 - sum by ({BY}) (rate({_LATENCY}_bucket{{le="1.0"}}[$window]))'
        f" / sum by ({BY}) (rate({_LATENCY}_count[$window]))",
        dashboard="detector",
        enough=f"sum by ({BY}) (increase({_LATENCY}_count[1h])) >= 20",
    ),
    Objective(
        slo="replicas",
        title="Replica freshness",
        promise="A commit of the store can be read from a replica within 15 s",
        target=0.99,
        errors=f'1 - sum by ({BY}) (rate({_FRESHNESS}_bucket{{le="15.0"}}[$window]))'
        f" / sum by ({BY}) (rate({_FRESHNESS}_count[$window]))",
        dashboard="store",
        enough=f"sum by ({BY}) (increase({_FRESHNESS}_count[1h])) >= 20",
    ),
    Objective(
        slo="batch",
        title="Batch on time",
        promise="A session is in the store and in Redis three hours after its run should begin",
        target=0.95,
        errors=f"avg_over_time({_OVERDUE}[$window])",
        dashboard="batch",
    ),
)


def _recordings() -> list[Recording]:
    recordings = [
        # Tells a dashboard that no alert fires from one that nobody evaluates.
        Recording(RULES_LOADED, "vector(1)"),
        # Only while the exchange is open: a night counts neither as good nor as bad.
        Recording(
            _STALE,
            f"""
            sum by ({BY}) (stockpipeline_producer_symbols{{state="stale"}})
              / (sum by ({BY}) (stockpipeline_producer_symbols) > 0)
              and on ({BY}) max by ({BY}) (stockpipeline_producer_session_open) == 1
            """,
        ),
        Recording(
            _LATE,
            f"""
            (max by ({BY}) (stockpipeline_detector_watermark_age_seconds) > bool 10)
              and on ({BY}) max by ({BY}) (stockpipeline_producer_session_open) == 1
            """,
        ),
        Recording(
            _OVERDUE,
            in_its_namespace("max by (cluster, pipeline_namespace, pipeline) (stockpipeline_batch_overdue)"),
        ),
    ]
    for objective in OBJECTIVES:
        recordings += [
            Recording(
                f"{ERRORS}_{window}", objective.errors.replace("$window", window), {"slo": objective.slo}
            )
            for window in WINDOWS
        ]
    return recordings


def _burns(objective: Objective, factor: float, long: str, short: str) -> str:
    limit = round(factor * objective.allowed, 6)
    slo = f'{{slo="{objective.slo}"}}'
    return f"{ERRORS}_{long}{slo} > {limit} and {ERRORS}_{short}{slo} > {limit}"


def _alert(objective: Objective, severity: str, wait: str, burns: str) -> Alert:
    enough = f"\nand on ({BY}) {objective.enough}" if objective.enough else ""
    return Alert(
        name=objective.alert,
        severity=severity,
        wait=wait,
        expr=f"({burns})" + enough,
        summary=f"{objective.title} is missed so often that a month's allowance will not last",
        description="{{ $labels.namespace }}/{{ $labels.pipeline }}: {{ $value | humanizePercentage }} "
        f"missed what is promised, {objective.allowed:.1%} may. {objective.promise}.",
        dashboard="slo",
    )


def _alerts() -> list[Alert]:
    alerts = []
    for objective in OBJECTIVES:
        fast = "\nor ".join((_burns(objective, 14.4, "1h", "5m"), _burns(objective, 6, "6h", "30m")))
        alerts.append(_alert(objective, "critical", "2m", fast))
        alerts.append(_alert(objective, "warning", "1h", _burns(objective, 1, "3d", "6h")))
    return alerts


RECORDINGS = Group("stockpipeline-slo-recordings", _recordings())
ALERTS = Group("stockpipeline-slo", _alerts())
