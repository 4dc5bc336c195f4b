"""Alerts on the operator, and on what it says of pipelines."""

from observability.alerts.rule import BY, Alert, Group, in_its_namespace

_OPERATOR = "cluster, namespace"
_PIPELINE = "{{ $labels.namespace }}/{{ $labels.pipeline }}"


def condition(kind: str, value: int) -> str:
    """Return a query for the pipelines with a condition; `namespace` is the pipeline's."""
    return _of_pipelines(_gauge(kind), f"== {value}")


def _gauge(kind: str) -> str:
    return f'stockpipeline_operator_pipeline_condition{{condition="{kind}"}}'


def _of_pipelines(query: str, compared: str) -> str:
    return in_its_namespace(f"max by (cluster, pipeline_namespace, pipeline) ({query}) {compared}")


ALERTS = Group(
    "stockpipeline-operator",
    (
        Alert(
            name="NotReady",
            severity="critical",
            wait="15m",
            # A suspended pipeline is neither ready, nor on its way, nor stalled.
            expr=f"""
            {condition("Ready", 0)}
              and on ({BY}) ({condition("Reconciling", 1)} or {condition("Stalled", 1)})
            """,
            summary="A pipeline does not become ready",
            description=f"{_PIPELINE} has not been ready for 15 minutes; its status says why.",
            dashboard="operator",
        ),
        Alert(
            name="Stalled",
            severity="warning",
            wait="15m",
            expr=condition("Stalled", 1),
            summary="A pipeline waits for a person",
            description=f"The operator cannot go on with {_PIPELINE}; its status says what is needed.",
            dashboard="operator",
        ),
        Alert(
            name="DriftContested",
            severity="warning",
            wait="5m",
            # At least every ten minutes the operator puts it right once more, and all seems well for a moment.
            expr=_of_pipelines(f"avg_over_time({_gauge('Drifted')}[15m])", "> 0.8"),
            summary="Somebody changes an object of a pipeline again and again",
            description=f"The operator and somebody else fight over an object of {_PIPELINE}.",
            dashboard="operator",
        ),
        Alert(
            name="OperatorLeaderless",
            severity="critical",
            wait="2m",
            expr=f"sum by ({_OPERATOR}) (stockpipeline_operator_leading) == 0",
            summary="Operators run, and none of them leads",
            description="No operator in {{ $labels.namespace }} holds the Lease: changes of pipelines wait.",
            dashboard="operator",
            of_pipeline=False,
        ),
        Alert(
            name="OperatorAbsent",
            severity="critical",
            wait="5m",
            expr="absent(stockpipeline_operator_leading)",
            summary="No operator is known to Prometheus",
            description="No operator runs, or nobody scrapes it: changes and repairs of pipelines wait.",
            dashboard="operator",
            of_pipeline=False,
        ),
        Alert(
            name="ReconcileStuck",
            severity="critical",
            wait="10m",
            expr=f"""
            sum by ({_OPERATOR}) (stockpipeline_operator_queue_depth) > 0
              unless on ({_OPERATOR})
                sum by ({_OPERATOR}) (increase(stockpipeline_operator_reconciles_total[10m])) > 0
            """,
            summary="Pipelines wait for the operator, and it finishes none",
            description="{{ $value | humanize }} pipelines wait for the operator in {{ $labels.namespace }}.",
            dashboard="operator",
            of_pipeline=False,
        ),
        Alert(
            name="ReconcileErrors",
            severity="warning",
            wait="10m",
            expr=f"""
            sum by ({_OPERATOR}) (rate(stockpipeline_operator_reconciles_total{{result="error"}}[10m]))
              / sum by ({_OPERATOR}) (rate(stockpipeline_operator_reconciles_total[10m])) > 0.1
            """,
            summary="Many of the operator's passes end in an error",
            description="{{ $value | humanizePercentage }} of the passes in {{ $labels.namespace }} failed.",
            dashboard="operator",
            of_pipeline=False,
        ),
        Alert(
            name="HelmFailures",
            severity="warning",
            wait="0m",
            expr=f"""
            sum by ({_OPERATOR}, operation) (
              increase(stockpipeline_operator_helm_operations_total{{result="error"}}[30m])
            ) >= 3
            """,
            summary="Changes of Helm releases fail",
            description="{{ $labels.operation }} failed {{ $value | humanize }} times in 30 minutes.",
            dashboard="operator",
            of_pipeline=False,
        ),
    ),
)
