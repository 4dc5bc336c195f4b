"""What the operator shows of the pipelines."""

from prometheus_client import CollectorRegistry

from stockpipeline_operator.metrics import OperatorMetrics


def condition(registry: CollectorRegistry, name: str, type_: str) -> float | None:
    labels = {"pipeline_namespace": "desk", "pipeline": name, "condition": type_}
    return registry.get_sample_value("stockpipeline_operator_pipeline_condition", labels)


def test_conditions_are_shown_by_pipeline_and_unknown_ones_are_not() -> None:
    registry = CollectorRegistry()
    metrics = OperatorMetrics(registry)
    metrics.show_pipelines(
        {("desk", "a"): {"Ready": "True", "DataFresh": "Unknown"}, ("desk", "b"): {"Ready": "False"}}
    )
    assert condition(registry, "a", "Ready") == 1
    assert condition(registry, "a", "DataFresh") is None
    assert condition(registry, "b", "Ready") == 0
    metrics.show_pipelines({("desk", "a"): {"Ready": "True"}})
    assert condition(registry, "b", "Ready") is None
