"""Prometheus itself judges the alerts: each fires, for whom it should and for nobody else, and ends.

Every case is two pipelines (or operators, or pods) side by side. One is well, in trouble from minute 20 on,
and well again; its neighbour is well all along. What makes no trouble (a closed exchange, say)
has cases of its own in which nothing may fire.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from observability import alerts
from observability.alerts import slo
from observability.alerts.rule import Alert, Group, rule_file

START, TROUBLE, END = 20, 100, 220  # minutes: trouble begins, lasts, and what is looked at
ALERTS = [rule for group in alerts.LOCAL for rule in group.rules if isinstance(rule, Alert)]

PIPELINE = 'namespace="desk",pipeline="{name}"'
POD = 'namespace="desk",pod="{name}",component="{component}"'
OPERATOR = 'namespace="{name}",pod="operator-1"'
CONDITION = 'namespace="stockpipeline-system",pipeline_namespace="desk",pipeline="{name}",condition="{type}"'


@dataclass(frozen=True)
class Steady:
    """A gauge that has one value while all is well, and another in trouble."""

    well: float
    trouble: float

    def values(self, troubled: bool) -> str:
        level = self.trouble if troubled else self.well
        return f"{self.well}+0x{START - 1} {level}+0x{TROUBLE - 1} {self.well}+0x{END - START - TROUBLE}"


@dataclass(frozen=True)
class Growing:
    """A counter or gauge that grows by so much in a minute."""

    well: float
    trouble: float

    def values(self, troubled: bool) -> str:
        rate = self.trouble if troubled else self.well
        first = f"0+{self.well}x{START - 1}"
        at = self.well * (START - 1) + rate
        second = f"{at}+{rate}x{TROUBLE - 1}"
        at += rate * (TROUBLE - 1) + self.well
        return f"{first} {second} {at}+{self.well}x{END - START - TROUBLE}"


@dataclass(frozen=True)
class Slope:
    """A gauge that climbs in trouble, and is low before and after."""

    well: float
    step: float

    def values(self, troubled: bool) -> str:
        climb = f"{self.well}+{self.step if troubled else 0}x{TROUBLE - 1}"
        return f"{self.well}+0x{START - 1} {climb} {self.well}+0x{END - START - TROUBLE}"


@dataclass(frozen=True)
class Present:
    """A series that is there in trouble alone."""

    trouble: float

    def values(self, troubled: bool) -> str:
        if not troubled:
            return f"_x{END}"
        return f"_x{START} {self.trouble}+0x{TROUBLE - 1} _x{END - START - TROUBLE}"


Course = Steady | Growing | Slope | Present
OPEN: dict[str, Course] = {f"stockpipeline_producer_session_open{{{PIPELINE}}}": Steady(1, 1)}


def condition(kind: str) -> str:
    return f"stockpipeline_operator_pipeline_condition{{{CONDITION.replace('{type}', kind)}}}"


def pipeline(metric: str, labels: str = "") -> str:
    return f"stockpipeline_{metric}{{{PIPELINE}{',' if labels else ''}{labels}}}"


def run(figure: str, labels: str = "") -> str:
    """What the operator says of a pipeline's batch."""
    of = 'namespace="stockpipeline-system",pipeline_namespace="desk",pipeline="{name}"'
    return f"stockpipeline_batch_{figure}{{{of}{',' if labels else ''}{labels}}}"


FAILED_UPGRADE = 'operation="upgrade",result="error"'
FRESHNESS = "replica_freshness_seconds"
LATENCY = "detector_tick_to_signal_seconds"
CASES: dict[str, dict[str, Course]] = {
    "StockPipelineSilent": OPEN | {pipeline("producer_ticks_total", 'source="kis"'): Growing(60, 0)},
    "StockPipelineAllSourcesDown": OPEN
    | {
        pipeline("producer_symbols", 'state="live"'): Steady(100, 0),
        pipeline("producer_symbols", 'state="stale"'): Steady(0, 100),
    },
    "StockPipelineSymbolsStale": OPEN
    | {
        pipeline("producer_symbols", 'state="live"'): Steady(100, 80),
        pipeline("producer_symbols", 'state="stale"'): Steady(0, 20),
    },
    "StockPipelineSourceDown": OPEN | {pipeline("producer_breaker_state", 'source="kis"'): Steady(0, 2)},
    "StockPipelineTokenOld": {
        pipeline("producer_token_age_seconds", 'source="kis"'): Steady(3600, 90_000),
    },
    "StockPipelineRateLimited": {
        pipeline("producer_rate_limit_refusals_total", 'source="kis"'): Growing(0, 2),
    },
    "StockPipelineDetectorStuck": {
        pipeline("detector_lag_records"): Steady(0, 500),
        pipeline("detector_ticks_total"): Growing(600, 0),
    },
    "StockPipelineLagGrowing": OPEN | {pipeline("detector_lag_records"): Slope(10, 5000)},
    "StockPipelineDeadLetters": {
        pipeline("detector_refused_ticks_total", 'reason="bad-json"'): Growing(0, 1),
        pipeline("detector_refused_ticks_total", 'reason="late"'): Growing(5, 5),
    },
    "StockPipelineTransactionsAborted": {pipeline("detector_transactions_aborted_total"): Growing(0, 1)},
    "StockPipelineRebalancing": {pipeline("detector_rebalances_total"): Growing(0, 2)},
    "StockPipelineSymbolsWarming": {pipeline("detector_symbols", 'state="warming"'): Steady(0, 3)},
    "StockPipelineTargetDown": {f"up{{{POD.replace('{component}', 'detector')}}}": Steady(1, 0)},
    "StockPipelineRestarting": {
        f"process_start_time_seconds{{{POD.replace('{component}', 'producer')}}}": Growing(0, 60),
    },
    "StockPipelineNotReady": {
        condition("Ready"): Steady(1, 0),
        condition("Reconciling"): Steady(0, 1),
        condition("Stalled"): Steady(0, 0),
    },
    "StockPipelineStalled": {condition("Stalled"): Steady(0, 1)},
    "StockPipelineBatchFailed": {
        condition("BatchSucceeded"): Steady(1, 0),
        run("failure", 'step="compute_indicators",error="BrokenPart"'): Present(1),
    },
    "StockPipelineCoverageTooLow": {
        run("failure", 'step="coverage_gate",error="CoverageTooLow"'): Present(1),
    },
    "StockPipelineAirflowUnhealthy": {
        'stockpipeline_airflow_healthy{namespace="{name}",pod="airflow-0",part="scheduler"}': Steady(1, 0),
        'stockpipeline_airflow_healthy{namespace="{name}",pod="airflow-0",part="api"}': Steady(1, 1),
    },
    "StockPipelineBatchBurn": {run("overdue"): Steady(0, 1)},
    "StockPipelineDriftContested": {condition("Drifted"): Steady(0, 1)},
    "StockPipelineOperatorLeaderless": {f"stockpipeline_operator_leading{{{OPERATOR}}}": Steady(1, 0)},
    "StockPipelineReconcileStuck": {
        f"stockpipeline_operator_queue_depth{{{OPERATOR}}}": Steady(0, 4),
        f'stockpipeline_operator_reconciles_total{{{OPERATOR},result="success"}}': Growing(10, 0),
    },
    "StockPipelineReconcileErrors": {
        f'stockpipeline_operator_reconciles_total{{{OPERATOR},result="success"}}': Growing(10, 10),
        f'stockpipeline_operator_reconciles_total{{{OPERATOR},result="error"}}': Growing(0, 10),
    },
    "StockPipelineHelmFailures": {
        f"stockpipeline_operator_helm_operations_total{{{OPERATOR},{FAILED_UPGRADE}}}": Growing(0, 1),
    },
    "StockPipelineFreshnessBurn": OPEN
    | {
        pipeline("producer_symbols", 'state="live"'): Steady(100, 50),
        pipeline("producer_symbols", 'state="stale"'): Steady(0, 50),
    },
    "StockPipelineProcessingBurn": OPEN | {pipeline("detector_watermark_age_seconds"): Steady(0, 60)},
    "StockPipelineLatencyBurn": {
        pipeline(f"{LATENCY}_bucket", 'le="1.0"'): Growing(10, 5),
        pipeline(f"{LATENCY}_bucket", 'le="+Inf"'): Growing(10, 10),
        pipeline(f"{LATENCY}_count"): Growing(10, 10),
    },
    "StockPipelineReplicasBurn": {
        pipeline(f"{FRESHNESS}_bucket", 'le="15.0"'): Growing(10, 5),
        pipeline(f"{FRESHNESS}_bucket", 'le="+Inf"'): Growing(10, 10),
        pipeline(f"{FRESHNESS}_count"): Growing(10, 10),
    },
    "StockPipelineStoreRecordsLost": {pipeline("store_lost_records_total"): Growing(0, 3)},
    "StockPipelineStoreLagGrowing": {pipeline("store_lag_records"): Slope(10, 5000)},
    "StockPipelineStoreRecordsRefused": {
        pipeline("store_refused_records_total", 'topic="signals"'): Growing(0, 1)
    },
    "StockPipelineStoreDeliveryRefused": {
        pipeline("store_deliveries_total", 'result="refused"'): Growing(0, 1)
    },
    "StockPipelineStorePublishFailing": {
        pipeline("store_publish_failures_total", 'error="unreachable"'): Growing(0, 1)
    },
    "StockPipelineStoreDiskFull": {
        pipeline("store_free_bytes"): Steady(50e9, 1e9),
        pipeline("store_size_bytes"): Steady(50e9, 50e9),
    },
    "StockPipelineReplicaStale": {pipeline("replica_lag_seconds"): Steady(3, 600)},
    "StockPipelineReplicaPullFailing": {pipeline("replica_pull_failures_total"): Growing(0, 1)},
    "StockPipelineReplicaVerifyFailed": {pipeline("replica_verify_failures_total"): Growing(0, 1)},
    "StockPipelineBackendDown": {f"up{{{POD.replace('{component}', 'kafka')}}}": Steady(1, 0)},
    "StockPipelineKafkaPartitionsOffline": {
        f"kafka_controller_offlinepartitionscount{{{POD.replace('{component}', 'kafka')}}}": Steady(0, 2),
    },
    "StockPipelineRedisDown": {f"redis_up{{{POD.replace('{component}', 'redis')}}}": Steady(1, 0)},
    "StockPipelineRedisMemoryFull": {
        f"redis_memory_used_bytes{{{POD.replace('{component}', 'redis')}}}": Steady(50, 95),
        f"redis_memory_max_bytes{{{POD.replace('{component}', 'redis')}}}": Steady(100, 100),
    },
}
ABSENT = "StockPipelineOperatorAbsent"
"""Fires wherever there is no operator, and has a test of its own."""

CLOSED: dict[str, Course] = {pipeline("producer_session_open"): Steady(0, 0)}
QUIET: dict[str, dict[str, Course]] = {
    "a closed exchange: a night, a weekend, a holiday": CLOSED
    | {
        pipeline("producer_ticks_total", 'source="kis"'): Growing(0, 0),
        pipeline("producer_symbols", 'state="live"'): Steady(100, 0),
        pipeline("producer_symbols", 'state="stale"'): Steady(0, 100),
        pipeline("producer_breaker_state", 'source="kis"'): Steady(0, 2),
        pipeline("detector_watermark_age_seconds"): Steady(0, 0),
    },
    "a replay as fast as possible, which runs ahead of the detector": CLOSED
    | {
        pipeline("producer_ticks_total", 'source="replay"'): Growing(0, 90_000),
        pipeline("detector_lag_records"): Slope(0, 5000),
        pipeline("detector_ticks_total"): Growing(0, 80_000),
        pipeline("detector_watermark_age_seconds"): Steady(0, 600),
    },
    "a suspended pipeline": {
        condition("Ready"): Steady(1, 0),
        condition("Reconciling"): Steady(0, 0),
        condition("Stalled"): Steady(0, 0),
    },
    "signals so few that one late one says nothing": {
        pipeline(f"{LATENCY}_bucket", 'le="1.0"'): Growing(0, 0),
        pipeline(f"{LATENCY}_bucket", 'le="+Inf"'): Growing(0, 0.1),
        pipeline(f"{LATENCY}_count"): Growing(0, 0.1),
    },
    "a batch under way, and one of a suspended pipeline": {
        run("began_seconds"): Present(1_700_000_000),
        run("minimum_coverage_ratio"): Steady(0.98, 0.98),
    },
    "late ticks and duplicates": {
        pipeline("detector_refused_ticks_total", 'reason="late"'): Growing(0, 100),
        pipeline("detector_refused_ticks_total", 'reason="duplicate"'): Growing(0, 100),
    },
}


def whom(course: Mapping[str, Course]) -> str:
    """How `troubled` is told by namespace/pod/pipeline of an alert."""
    series = next(iter(course))
    if "pipeline=" in series:
        return "desk//troubled"
    return "troubled//" if 'namespace="{name}"' in series else "desk/troubled/"


def rules_of(name: str) -> list[Group]:
    """One alert and the recordings, which is quicker to evaluate than all."""
    named = [rule for rule in ALERTS if rule.full_name == name]
    return (
        [slo.RECORDINGS, Group("alerts", named)]
        if name.endswith(("Burn", "Stale"))
        else [Group("alerts", named)]
    )


def judged(
    folder: Path,
    series: Mapping[str, str],
    firing: Mapping[int, list[str]],
    rules: Sequence[Group] = alerts.LOCAL,
    selector: str = f'alertname!="{ABSENT}"',
) -> None:
    """Let Prometheus evaluate rules over series; compare who has alerts at those minutes."""
    (folder / "rules.yml").write_text(rule_file(rules))
    fires = f'ALERTS{{alertstate="firing",{selector}}}'
    who = f'group by (who) (label_join({fires}, "who", "/", "namespace", "pod", "pipeline"))'
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": who,
                        "eval_time": f"{minute}m",
                        "exp_samples": [{"labels": f'{{who="{one}"}}', "value": 1} for one in expected],
                    }
                    for minute, expected in firing.items()
                ],
            }
        ],
    }
    (folder / "test.yml").write_text(json.dumps(test))
    command = ["promtool", "test", "rules", str(folder / "test.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def played(course: Mapping[str, Course]) -> dict[str, str]:
    """The series of a course, for both."""
    return {
        name.replace("{name}", who): kind.values(who == "troubled")
        for (name, kind), who in itertools.product(course.items(), ("troubled", "neighbour"))
    }


def test_promtool_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(rule_file(alerts.LOCAL))
    command = ["promtool", "check", "rules", "--lint=all", "--lint-fatal", str(tmp_path / "rules.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case() -> None:
    assert {alert.full_name for alert in ALERTS} == {*CASES, ABSENT}


def test_a_contest_is_told_of_though_the_operator_tries_again_every_ten_minutes(tmp_path: Path) -> None:
    tries = "0+0x4 " + "1 1 1 1 1 1 1 1 1 0 " * 5 + "0+0x20"
    series = {condition("Drifted").replace("{name}", "troubled"): tries}
    judged(tmp_path, series, {15: [], 30: ["desk//troubled"], 45: ["desk//troubled"], 70: []})


def test_one_correction_is_no_contest(tmp_path: Path) -> None:
    series = {condition("Drifted").replace("{name}", "troubled"): "0+0x20 1 1 0+0x40"}
    judged(tmp_path, series, {21: [], 25: [], 40: []})


@pytest.mark.parametrize("name", CASES)
def test_it_fires_for_the_troubled_one_and_ends(tmp_path: Path, name: str) -> None:
    course = CASES[name]
    # Of a burn the fast one; the slow one has a test of its own.
    selector = 'severity="critical"' if name.endswith("Burn") else f'alertname="{name}"'
    firing = {START - 1: [], START + TROUBLE - 2: [whom(course)], END - 1: []}
    judged(tmp_path, played(course), firing, rules_of(name), selector)


@pytest.mark.parametrize("course", QUIET.values(), ids=QUIET)
def test_what_is_no_trouble_pages_nobody(tmp_path: Path, course: dict[str, Course]) -> None:
    minutes = (START - 1, START + 15, START + TROUBLE - 2, START + TROUBLE + 10, END - 1)
    judged(tmp_path, played(course), {minute: [] for minute in minutes})


def test_a_night_that_stops_at_the_coverage_gate_is_told_once(tmp_path: Path) -> None:
    course: dict[str, Course] = {
        condition("BatchSucceeded"): Steady(1, 0),
        run("failure", 'step="coverage_gate",error="CoverageTooLow"'): Present(1),
    }
    rules = [Group("alerts", [rule for rule in ALERTS if rule.name in ("BatchFailed", "CoverageTooLow")])]
    for name, firing in (("BatchFailed", []), ("CoverageTooLow", ["desk//troubled"])):
        minutes = {START - 1: [], START + TROUBLE - 2: firing, END - 1: []}
        judged(tmp_path, played(course), minutes, rules, f'alertname="StockPipeline{name}"')


def test_a_missing_operator_is_told(tmp_path: Path) -> None:
    series = {"stockpipeline_operator_leading": "1+0x19 _x20 1+0x40"}
    judged(tmp_path, series, {19: [], 24: [], 38: ["//"], 50: []}, rules_of(ABSENT), "")


@pytest.mark.parametrize(("severity", "whom"), [("warning", ["desk//troubled"]), ("critical", [])])
def test_a_slow_burn_warns_and_pages_nobody(tmp_path: Path, severity: str, whom: list[str]) -> None:
    """Two symbols of a hundred are stale for long: four times what is allowed."""
    values = {
        next(iter(OPEN)): 1,
        pipeline("producer_symbols", 'state="live"'): 98,
        pipeline("producer_symbols", 'state="stale"'): 2,
    }
    series = {name.replace("{name}", "troubled"): f"{value}+0x600" for name, value in values.items()}
    rules = rules_of("StockPipelineFreshnessBurn")
    judged(tmp_path, series, {590: whom}, rules, f'severity="{severity}"')
