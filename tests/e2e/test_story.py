"""From `kubectl apply` to signals, on a real cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from cluster.shell import CommandError, wait_until
from stockpipeline.api import PipelineConfig
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.sources.configured import replay_source
from tests.e2e.conftest import Deployment, make, pipeline, replay
from tests.oracle import Ohlcv, expected_signals

COMPONENTS = {"operator", "producer", "detector", "kafka", "redis", "prometheus", "alertmanager"}
BACKENDS = "stockpipeline-backends"
FINISH_TIMEOUT = 240.0
APPEAR_TIMEOUT = 60.0


def wait_finished(deployment: Deployment, namespace: str, name: str) -> None:
    """Wait until the replay has sent its last tick and the detector has read it."""
    labels = f'namespace="{namespace}", pipeline="{name}"'

    def finished() -> bool:
        exhausted = deployment.value(f"stockpipeline_producer_exhausted{{{labels}}}")
        read = deployment.value(f"stockpipeline_detector_ticks_total{{{labels}}}")
        lag = deployment.value(f"stockpipeline_detector_lag_records{{{labels}}}")
        return exhausted == 1 and bool(read) and lag == 0

    wait_until(finished, FINISH_TIMEOUT, f"the replay of {namespace}/{name} is sent and read")


def expected(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Compute the signals of a pipeline with default indicators and rules, without the product's engine."""
    metadata, spec = resource["metadata"], resource["spec"]
    config = PipelineConfig.model_validate(
        {
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "spec": {
                **spec,
                "kafka": {"bootstrapServers": "unused:9092"},
                "redis": {"url": "redis://unused:6379/0"},
            },
        }
    )
    start = date.fromisoformat(spec["sources"][0]["replay"]["start"])
    history = {
        symbol: [
            Ohlcv(
                date(1970, 1, 1) + timedelta(bar.session), bar.open, bar.high, bar.low, bar.close, bar.volume
            )
            for bar in packaged_bars(symbol).before(start)
        ]
        for symbol in spec["universe"]["symbols"]
    }
    source = replay_source(config, SessionCalendar(config.spec.universe.exchange))
    ticks = (msgspec.to_builtins(tick) for tick in source.ticks({}))
    return expected_signals(f"{metadata['namespace']}/{metadata['name']}", history, ticks)


def assert_signals(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """Compare signals in full, in the order of each symbol: partitions interleave freely."""
    assert wanted, "the comparison would be empty"
    assert [_identity(signal) for signal in _ordered(found)] == [
        _identity(signal) for signal in _ordered(wanted)
    ]
    for signal, want in zip(_ordered(found), _ordered(wanted), strict=True):
        assert signal["id"] == want["id"]
        for name, value in signal["values"].items():
            assert value == pytest.approx(want["values"][name], rel=1e-9), (signal, name)


def _ordered(signals: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(signals, key=lambda signal: (signal["symbol"], signal["ts"], signal["rule"]))


def _identity(signal: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in signal.items() if key not in ("values", "confidence", "id")}


def pods(deployment: Deployment, namespace: str, name: str) -> list[dict[str, Any]]:
    selector = f"stockpipeline.dev/pipeline={name}"
    items: list[dict[str, Any]] = deployment.get("pods", "-n", namespace, "-l", selector)["items"]
    return items


def test_up_shows_the_pipeline_and_its_signals(deployment: Deployment) -> None:
    lines = deployment.up_output.splitlines()
    row = next(line.split() for line in lines if line.startswith("default/demo"))
    assert row[1] == "yes"
    assert float(row[2]) > 0, "ticks/s"
    assert int(row[3]) > 0, "signals"
    assert any("Last signals of default/demo" in line for line in lines)


def test_status_prints_the_table(deployment: Deployment) -> None:
    assert "default/demo" in make("status").stdout


def test_the_example_says_how_its_data_and_its_sources_are(deployment: Deployment) -> None:
    """The operator hears it from the producer itself, through every NetworkPolicy between them."""

    def told() -> bool:
        found = [deployment.condition("default", "demo", kind) for kind in ("DataFresh", "SourcesHealthy")]
        return all(condition is not None and condition["status"] == "True" for condition in found)

    wait_until(told, FINISH_TIMEOUT, "default/demo is DataFresh and SourcesHealthy")

    def table() -> dict[str, str]:
        head, row = deployment.kubectl("get", "stockpipeline", "demo").splitlines()
        # The one that is known last may still be empty.
        return dict(zip(head.split(), row.split(), strict=False)) if len(row.split()) == 8 else {}

    wait_until(lambda: table().get("TICKS/S"), FINISH_TIMEOUT, "the rate of default/demo is known")
    shown = table()
    assert (shown["READY"], shown["MODE"], shown["SYMBOLS"], shown["FRESH"]) == ("True", "Apply", "5", "True")


def test_up_again_changes_nothing(deployment: Deployment) -> None:
    def world() -> dict[str, Any]:
        return {
            "pods": {
                pod["metadata"]["uid"]: [c["restartCount"] for c in pod["status"]["containerStatuses"]]
                for pod in deployment.get("pods", "--all-namespaces")["items"]
            },
            "releases": sorted(
                secret["metadata"]["name"]
                for secret in deployment.get("secrets", "-A", "-l", "owner=helm")["items"]
            ),
            "generation": deployment.get("stockpipeline", "demo")["metadata"]["generation"],
        }

    before = world()
    output = make("up").stdout
    assert "unchanged" in output
    assert "installed" not in output
    assert "upgraded" not in output
    assert world() == before


def test_release_is_a_real_helm_release(deployment: Deployment) -> None:
    releases = deployment.helm("list", "--namespace", "default", "--output", "json")
    (release,) = [release for release in json.loads(releases) if release["name"] == "demo"]
    assert release["status"] == "deployed"
    assert release["chart"].startswith("stockpipeline-")


def test_every_component_is_scraped(deployment: Deployment) -> None:
    def up() -> set[str]:
        return {series["component"] for series in deployment.query("up == 1") if "component" in series}

    wait_until(lambda: up() >= COMPONENTS, APPEAR_TIMEOUT, f"all of {sorted(COMPONENTS)} are scraped")
    assert not deployment.query("up == 0")


def test_signals_equal_an_independent_computation(deployment: Deployment, namespace: str) -> None:
    """Two pipelines side by side: each gives exactly its own signals."""
    first = pipeline(namespace, "first")
    second = pipeline(
        namespace, "second", universe={"symbols": ["IBM", "GOOG"]}, sources=[replay(seed=99, ticksPerBar=20)]
    )
    for resource in (first, second):
        deployment.apply(resource)
    for name in ("first", "second"):
        deployment.wait_ready(namespace, name)
        wait_finished(deployment, namespace, name)

    assert_signals(deployment.signals(namespace, "first"), expected(first))
    assert_signals(deployment.signals(namespace, "second"), expected(second))
    counted = deployment.value(
        f'sum(stockpipeline_detector_signals_total{{namespace="{namespace}", pipeline="first"}})'
    )
    assert counted == len(expected(first))


def test_killed_pods_lose_and_repeat_no_signal(deployment: Deployment, namespace: str) -> None:
    resource = pipeline(namespace, "kills", sources=[replay(speed=60_000, ticksPerBar=30)])
    deployment.apply(resource)
    deployment.wait_ready(namespace, "kills")
    for component in ("detector", "producer", "detector"):
        ticks = f'stockpipeline_detector_ticks_total{{namespace="{namespace}"}}'
        wait_until(lambda: deployment.value(ticks), APPEAR_TIMEOUT, "the detector reads ticks")  # noqa: B023
        (victim,) = [
            pod["metadata"]["name"]
            for pod in pods(deployment, namespace, "kills")
            if pod["metadata"]["labels"]["app.kubernetes.io/component"] == component
        ]
        deployment.kubectl("delete", "pod", victim, "--namespace", namespace, "--grace-period=0", "--force")
        deployment.wait_ready(namespace, "kills")
    wait_finished(deployment, namespace, "kills")
    assert_signals(deployment.signals(namespace, "kills"), expected(resource))


def test_a_broken_pipeline_says_what_is_wrong_and_recovers(deployment: Deployment, namespace: str) -> None:
    resource = pipeline(
        namespace,
        "broken",
        indicators=[{"name": "rsi14", "function": "RSII", "parameters": {"timeperiod": 14}}],
        rules=[{"name": "low", "side": "buy", "when": "rsi14 < 30"}],
    )
    deployment.apply(resource)

    def message(kind: str) -> str:
        condition = deployment.condition(namespace, "broken", kind)
        return condition["message"] if condition and condition["status"] == "True" else ""

    wait_until(lambda: message("Stalled"), APPEAR_TIMEOUT, "the broken pipeline is Stalled")
    assert "RSII" in message("Stalled")
    assert "RSI" in message("Stalled").replace("RSII", ""), "the message names what may have been meant"
    assert not pods(deployment, namespace, "broken")

    resource["spec"]["indicators"][0]["function"] = "RSI"
    resource["spec"]["rules"][0]["when"] = "rsi14 <"
    deployment.apply(resource)
    wait_until(lambda: "low" in message("Stalled"), APPEAR_TIMEOUT, "the bad rule is named")

    resource["spec"]["rules"][0]["when"] = "rsi14 < 30"
    deployment.apply(resource)
    deployment.wait_ready(namespace, "broken")


def test_an_unreachable_kafka_is_named(deployment: Deployment, namespace: str) -> None:
    deployment.apply(pipeline(namespace, "lost", kafka={"bootstrapServers": "nowhere.invalid:9092"}))

    def says_so() -> bool:
        condition = deployment.condition(namespace, "lost", "Ready")
        return condition is not None and "nowhere.invalid:9092" in condition["message"]

    wait_until(says_so, APPEAR_TIMEOUT, "the address of the unreachable Kafka is in the condition")


def test_a_schema_error_is_refused_in_words(deployment: Deployment, namespace: str) -> None:
    with pytest.raises(CommandError) as refused:
        deployment.apply(pipeline(namespace, "wrong", sources=[{"name": "nothing"}]))
    assert "a source needs exactly one kind" in str(refused.value)


def test_deleting_leaves_nothing(deployment: Deployment, namespace: str) -> None:
    deployment.apply(pipeline(namespace, "gone"))
    deployment.wait_ready(namespace, "gone")
    prefix = f"{namespace}.gone"
    assert any(topic.startswith(prefix) for topic in topics(deployment))
    assert redis_keys(deployment, prefix)

    deployment.kubectl("delete", "stockpipeline", "gone", "--namespace", namespace, "--timeout=120s")

    wait_until(lambda: not pods(deployment, namespace, "gone"), APPEAR_TIMEOUT, "the pods are gone")
    selector = "stockpipeline.dev/pipeline=gone"
    kinds = "deployments,configmaps,serviceaccounts,services,networkpolicies,secrets"
    assert deployment.get(kinds, "-n", namespace, "-l", selector)["items"] == []
    assert deployment.get("secrets", "-n", namespace, "-l", "owner=helm")["items"] == []
    assert [topic for topic in topics(deployment) if topic.startswith(prefix)] == []
    assert redis_keys(deployment, prefix) == []
    assert prefix not in " ".join(groups(deployment))


def topics(deployment: Deployment) -> list[str]:
    """Ask the broker itself, through a pod that has a client."""
    return _ask_kafka(deployment, "sorted(client.list_topics(timeout=20).topics)")


def groups(deployment: Deployment) -> list[str]:
    return _ask_kafka(
        deployment, "[g.group_id for g in client.list_consumer_groups().result(20).valid]", warm_up=True
    )


def _ask_kafka(deployment: Deployment, expression: str, *, warm_up: bool = False) -> list[str]:
    # A client that has not seen the brokers yet lists no groups.
    warm = "client.list_topics(timeout=20);" if warm_up else ""
    program = (
        "import json; from confluent_kafka.admin import AdminClient;"
        f"client = AdminClient({{'bootstrap.servers': 'kafka.{BACKENDS}.svc:9092'}});"
        f"{warm} print(json.dumps({expression}))"
    )
    output = deployment.kubectl("exec", "deployment/demo-detector", "--", "python3", "-c", program)
    found: list[str] = json.loads(output)
    return found


def redis_keys(deployment: Deployment, prefix: str) -> list[str]:
    output = deployment.kubectl(
        "exec",
        "-n",
        BACKENDS,
        "redis-0",
        "-c",
        "redis",
        "--",
        "redis-cli",
        "--scan",
        "--pattern",
        f"{prefix}:*",
    )
    return output.split()
