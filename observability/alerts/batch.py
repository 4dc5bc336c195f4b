"""Alerts on the nightly batch, and on the Airflow that runs it."""

from observability.alerts.operator import condition
from observability.alerts.rule import BY, Alert, Group, in_its_namespace

_PIPELINE = "{{ $labels.namespace }}/{{ $labels.pipeline }}"
_TOO_LOW = in_its_namespace(
    "max by (cluster, pipeline_namespace, pipeline) "
    '(stockpipeline_batch_failure{error="CoverageTooLow"}) == 1'
)

ALERTS = Group(
    "stockpipeline-batch",
    (
        Alert(
            name="BatchFailed",
            severity="warning",
            wait="10m",
            # The coverage gate has an alert of its own: one trouble is told once.
            expr=f"""
            {condition("BatchSucceeded", 0)}
              unless on ({BY}) {_TOO_LOW}
            """,
            summary="The nightly batch of a pipeline failed, or is late",
            description=f"The last batch of {_PIPELINE} did not succeed; its condition BatchSucceeded says why.",
            dashboard="batch",
        ),
        Alert(
            name="CoverageTooLow",
            severity="warning",
            wait="10m",
            expr=_TOO_LOW,
            summary="Too few stocks have the session's bar, so the night was not published",
            description=f"The batch of {_PIPELINE} stopped at its gate; its condition BatchSucceeded says which "
            "stocks lack the bar and why.",
            dashboard="batch",
        ),
        Alert(
            name="AirflowUnhealthy",
            severity="warning",
            wait="10m",
            expr="min by (cluster, namespace, part) (stockpipeline_airflow_healthy) == 0",
            summary="A part of Airflow is not well: batches do not run, or are not seen",
            description="The part {{ $labels.part }} of the Airflow in {{ $labels.namespace }} is not well.",
            dashboard="batch",
            of_pipeline=False,
        ),
    ),
)
