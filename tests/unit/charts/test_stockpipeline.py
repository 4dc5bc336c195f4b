"""The chart of a pipeline: every object is valid, locked down, owned, and the same each time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import Chart, HelmValuesError

from stockpipeline_operator.helm.chart import PipelineChart
from stockpipeline_operator.kube.resources import OPTIONAL, OWNED, owned_type
from tests.unit.charts.combinations import check, check_all, combinations

CHART = Path(__file__).parents[3] / "charts" / "stockpipeline"
VALUES: dict[str, Any] = {
    "config": '{"name": "demo", "text": "{{ not a template }}"}\n',
    "owner": {"name": "demo", "uid": "0c4b2c0e-0000-4000-8000-000000000000"},
    "image": {"repository": "localhost/stockpipeline/services", "tag": "1"},
}
COMPONENT: dict[str, Any] = {
    "resources": {
        "requests": {"cpu": "2", "memory": "1Gi"},
        "limits": {"cpu": "2", "memory": "1Gi"},
    },
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "desk", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}],
    "image": "registry.example/services@sha256:" + "0" * 64,
    "env": [
        {"name": "HTTPS_PROXY", "value": "http://proxy:3128"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}},
    ],
}
# A pipeline with all that it may have.
STORED: dict[str, Any] = {
    "store": {"enabled": True, "config": '{"name": "demo"}\n'},
    "replica": {"enabled": True, "replicas": 2},
}
BATCH: dict[str, Any] = {"enabled": True, "config": '{"name": "demo"}\n', "dag": {"name": "demo"}}
KEPT = {**STORED["store"], "storageClassName": "fast", "retain": True, "secret": "keys"}
FAR = {**STORED["replica"], "placement": "Anywhere", "storeVolume": False}
AUTOSCALING: dict[str, Any] = {
    "minReplicas": 1,
    "maxReplicas": 4,
    "lagRecords": 5000,
    "kafka": {
        "bootstrapServers": "kafka.stockpipeline-backends.svc:9092",
        "consumerGroup": "desk.demo.detector",
        "topic": "desk.demo.ticks",
    },
}
CHOICES: dict[str, list[Any]] = {
    "suspend": [False, True],
    "networkPolicy.enabled": [False, True],
    "imagePullSecrets": [[], [{"name": "registry"}]],
    "logLevel": ["info", "debug"],
    "tracing": [{}, {"endpoint": "http://otel-collector:4318", "ratio": 1}],
    "scaling": [
        {"detector": {"replicas": 1}},
        {"producer": {"replicas": 2}, "detector": {"replicas": 3}},
        {"detector": {"autoscaling": AUTOSCALING}},
    ],
    "secrets": [[], [{"name": "kis", "keys": ["appkey", "appsecret"]}]],
    "producer": [{}, COMPONENT],
    "detector": [{}, COMPONENT],
    "store": [{}, STORED["store"], STORED["store"] | COMPONENT, KEPT],
    "replica": [{}, STORED["replica"], STORED["replica"] | COMPONENT, FAR],
}


Object = dict[str, Any]


def render(values: Object | None = None, name: str = "demo") -> list[Object]:
    manifests = Chart.load(CHART).render(VALUES | (values or {}), name=name, namespace="desk")
    return [found for text in manifests.values() for found in yaml.safe_load_all(text) if found]


def deployments(objects: list[Object]) -> dict[str, Object]:
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == "Deployment"}


def test_every_object_of_every_combination_is_valid() -> None:
    every = (VALUES | values for values in combinations(CHOICES))
    assert check_all(CHART, every, name="demo", namespace="desk") > 40


def test_every_object_of_a_batch_is_valid() -> None:
    choices = {
        "suspend": [False, True],
        "imagePullSecrets": CHOICES["imagePullSecrets"],
        "store": [STORED["store"], KEPT],
        "batch": [BATCH, BATCH | COMPONENT | {"storageClassName": "fast", "storeVolume": False}],
    }
    every = (VALUES | values for values in combinations(choices))
    assert check_all(CHART, every, name="demo", namespace="desk") > 5


@pytest.mark.parametrize("component", ["producer", "detector"])
def test_a_component_has_its_own_settings(component: str) -> None:
    usual, found = deployments(render()), deployments(render({component: COMPONENT}))
    (other,) = {"producer", "detector"} - {component}
    assert found[f"demo-{other}"] == usual[f"demo-{other}"]
    spec = found[f"demo-{component}"]["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == COMPONENT["nodeSelector"]
    assert spec["tolerations"] == COMPONENT["tolerations"]
    for container in [*spec["containers"], *spec.get("initContainers", ())]:
        assert container["image"] == COMPONENT["image"]
        assert container["resources"] == COMPONENT["resources"]
        assert container["env"][1:] == COMPONENT["env"]


@pytest.mark.parametrize("name", ["demo", "null", "true", "y", "e1", "x" * 53])
def test_names_that_yaml_would_take_for_something_else(name: str) -> None:
    for each in render(name=name):
        check(each)
        assert each["metadata"]["labels"]["stockpipeline.dev/pipeline"] == name


def test_objects_have_the_names_that_others_rely_on() -> None:
    def named(values: Object) -> set[tuple[str, str]]:
        return {(each["kind"], each["metadata"]["name"]) for each in render(values)}

    usual = {
        ("ConfigMap", "demo-config"),
        ("Deployment", "demo-detector"),
        ("Deployment", "demo-producer"),
        ("NetworkPolicy", "demo"),
        ("Service", "demo-producer"),
        ("ServiceAccount", "demo"),
    }
    assert named({}) == usual
    assert named(STORED) - usual == {
        ("Deployment", "demo-store"),
        ("Deployment", "demo-replica"),
        ("PersistentVolumeClaim", "demo-store"),
        ("Service", "demo-replica"),
        ("Service", "demo-replicas"),
    }
    assert named({"batch": BATCH}) - usual == {
        ("ConfigMap", "demo-batch"),
        ("ConfigMap", "demo-batch-run"),
        ("PersistentVolumeClaim", "demo-batch"),
        ("Role", "demo-batch"),
        ("RoleBinding", "demo-batch"),
    }
    assert (
        max(len(name) for kind, name in named({}) | named(STORED) if kind == "Service") - len("demo")
        <= 63 - 53
    )


def test_the_operator_knows_every_kind() -> None:
    known = {(resource.api_version, resource.kind) for resource in (*OWNED, *OPTIONAL)}
    assert {(each["apiVersion"], each["kind"]) for each in render(STORED | {"batch": BATCH})} <= known


def test_every_object_is_labelled_and_owned() -> None:
    for each in render(STORED | {"batch": BATCH}):
        labels = each["metadata"]["labels"]
        expected = {
            "app.kubernetes.io/name": "stockpipeline",
            "app.kubernetes.io/instance": "demo",
            "app.kubernetes.io/managed-by": "Helm",
            "app.kubernetes.io/part-of": "stockpipeline",
            "stockpipeline.dev/pipeline": "demo",
        }
        assert expected.items() <= labels.items()
        (owner,) = each["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == (
            "StockPipeline",
            "demo",
            VALUES["owner"]["uid"],
        )
        assert owner["controller"] is True


@pytest.mark.parametrize("component", ["producer", "detector", "store", "replica"])
def test_pods_pass_the_restricted_profile(component: str) -> None:
    spec = deployments(render(STORED))[f"demo-{component}"]["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*spec["containers"], *spec.get("initContainers", ())]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert {"requests", "limits"} <= container["resources"].keys()
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    container = spec["containers"][0]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
    assert container["ports"] == [{"name": "metrics", "containerPort": 8080}]
    kinds = {key for volume in spec["volumes"] for key in volume if key != "name"}
    claimed = {"persistentVolumeClaim"} if component in ("store", "replica") else set()
    assert kinds == {"configMap", "emptyDir"} | claimed


def test_every_container_logs_at_the_pipeline_s_level() -> None:
    made = render(STORED | {"batch": BATCH, "logLevel": "warning"})
    pods = [one["spec"]["template"]["spec"] for one in deployments(made).values()]
    (batch,) = (one for one in made if one["metadata"]["name"] == "demo-batch" and "data" in one)
    pods.append(yaml.safe_load(batch["data"]["pod.yaml"])["spec"])
    containers = [one for pod in pods for one in (*pod["containers"], *pod.get("initContainers", ()))]
    assert len(containers) > len(pods)
    for container in containers:
        assert {"name": "STOCKPIPELINE_LOG_LEVEL", "value": "warning"} in container["env"], container["name"]


def test_every_container_is_told_where_traces_go_and_its_own_variables_count() -> None:
    own = {"env": [{"name": "OTEL_TRACES_SAMPLER", "value": "always_on"}]}
    tracing = {"tracing": {"endpoint": "http://otel-collector.observability:4318", "ratio": 0.25}}
    made = render(STORED | {"batch": BATCH, "detector": own, **tracing})
    pods = [one["spec"]["template"]["spec"] for one in deployments(made).values()]
    (batch,) = (one for one in made if one["metadata"]["name"] == "demo-batch" and "data" in one)
    pods.append(yaml.safe_load(batch["data"]["pod.yaml"])["spec"])
    for container in (one for pod in pods for one in (*pod["containers"], *pod.get("initContainers", ()))):
        told = {one["name"]: one["value"] for one in container["env"] if one["name"].startswith("OTEL_")}
        assert len(told) == len([one for one in container["env"] if one["name"].startswith("OTEL_")])
        assert told == {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel-collector.observability:4318",
            "OTEL_TRACES_SAMPLER": "always_on"
            if container["name"] == "detector"
            else "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.25",
        }, container["name"]
    assert "OTEL_" not in json.dumps(render(STORED | {"batch": BATCH}))


def test_pods_are_scraped_and_run_the_right_programs() -> None:
    found = deployments(render())
    config = ["--config", "/etc/stockpipeline/pipeline.json"]
    for component in ("producer", "detector"):
        template = found[f"demo-{component}"]["spec"]["template"]
        assert template["metadata"]["annotations"]["prometheus.io/scrape"] == "true"
        assert template["metadata"]["labels"]["app.kubernetes.io/component"] == component
        assert template["spec"]["containers"][0]["args"] == [component, *config]
    (history,) = found["demo-producer"]["spec"]["template"]["spec"]["initContainers"]
    assert history["args"] == ["history", "load", *config]
    assert "initContainers" not in found["demo-detector"]["spec"]["template"]["spec"]


def test_the_configuration_is_passed_on_byte_by_byte_and_a_change_makes_new_pods() -> None:
    def seen(values: Object) -> tuple[str, set[str]]:
        objects = render(values)
        (config,) = [each for each in objects if each["kind"] == "ConfigMap"]
        sums = {
            each["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for each in deployments(objects).values()
        }
        return config["data"]["pipeline.json"], sums

    text, sums = seen({})
    assert text == VALUES["config"]
    assert sums == {hashlib.sha256(text.encode()).hexdigest()}
    assert seen({"config": "{}"})[1].isdisjoint(sums)


def test_a_new_version_of_the_chart_alone_makes_no_new_pods() -> None:
    for each in deployments(render()).values():
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & labels.keys()


@pytest.mark.parametrize(("suspend", "replicas"), [(False, 1), (True, 0)])
def test_suspend_runs_nothing(suspend: bool, replicas: int) -> None:
    assert {each["spec"]["replicas"] for each in deployments(render({"suspend": suspend})).values()} == {
        replicas
    }


def test_producers_are_replaced_never_doubled_and_detectors_one_after_the_other() -> None:
    found = {name: each["spec"]["strategy"] for name, each in deployments(render()).items()}
    assert found == {
        "demo-producer": {"type": "Recreate"},
        "demo-detector": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    }


def test_detectors_are_as_many_as_asked_for() -> None:
    found = deployments(render({"scaling": {"detector": {"replicas": 3}}}))
    assert found["demo-detector"]["spec"]["replicas"] == 3
    assert found["demo-producer"]["spec"]["replicas"] == 1


@pytest.mark.parametrize("replicas", [1, 3])
def test_producers_share_the_symbols_where_there_are_several(replicas: int) -> None:
    found = deployments(render({"scaling": {"producer": {"replicas": replicas}}}))["demo-producer"]["spec"]
    assert found["replicas"] == replicas
    (container,) = found["template"]["spec"]["containers"]
    assert ("--shared" in container["args"]) == (replicas > 1)
    assert found["strategy"] == {"type": "Recreate"}, "one that shares nothing must not meet those that do"


def test_an_autoscaler_owns_the_number_of_detectors() -> None:
    objects = render({"scaling": {"detector": {"autoscaling": AUTOSCALING}}})
    assert "replicas" not in deployments(objects)["demo-detector"]["spec"]
    (scaler,) = [each for each in objects if each["kind"] == "ScaledObject"]
    assert owned_type("ScaledObject").api_version == scaler["apiVersion"]
    spec = scaler["spec"]
    assert spec["scaleTargetRef"] == {"name": "demo-detector"}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (1, 4)
    (trigger,) = spec["triggers"]
    assert trigger["type"] == "kafka"
    assert trigger["metadata"] == {
        **AUTOSCALING["kafka"],
        "lagThreshold": "5000",
        "offsetResetPolicy": "earliest",
    }
    assert all(isinstance(value, str) for value in trigger["metadata"].values()), "KEDA takes text only"


def test_a_suspended_pipeline_has_no_autoscaler_that_would_wake_it() -> None:
    objects = render({"suspend": True, "scaling": {"detector": {"autoscaling": AUTOSCALING}}})
    assert deployments(objects)["demo-detector"]["spec"]["replicas"] == 0
    assert [each for each in objects if each["kind"] == "ScaledObject"] == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"config": ""}, "config"),
        ({"image": {"repository": "x", "tag": ""}}, "tag"),
        ({"owner": {"name": "", "uid": ""}}, "owner"),
        ({"logLevel": "loud"}, "logLevel"),
        ({"tracing": {"endpoint": "collector", "ratio": 1}}, "endpoint"),
        ({"replicas": 3}, "replicas"),
        ({"scaling": {"detector": {"replicas": 0, "autoscaling": {}}}}, "replicas"),
        ({"scaling": {"detector": {"replicas": 1, "autoscaling": {"maxReplicas": 2}}}}, "lagRecords"),
    ],
)
def test_values_that_make_no_sense_are_refused(change: Object, word: str) -> None:
    with pytest.raises(HelmValuesError, match=word):
        Chart.load(CHART).validate_schema(VALUES | change)


def test_the_digest_changes_with_values_and_chart_and_nothing_else(tmp_path: Path) -> None:
    chart = PipelineChart(CHART)
    assert chart.digest(VALUES) == PipelineChart(CHART).digest(dict(reversed(VALUES.items())))
    assert chart.digest(VALUES) != chart.digest(VALUES | {"suspend": True})
    assert len(chart.digest(VALUES)) <= 63, "it is kept in a label"

    copy = tmp_path / "stockpipeline"
    for path in (path for path in CHART.rglob("*") if path.is_file()):
        target = copy / path.relative_to(CHART)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    assert PipelineChart(copy).digest(VALUES) == chart.digest(VALUES)
    (copy / "templates" / "config.yaml").write_text("")
    assert PipelineChart(copy).digest(VALUES) != chart.digest(VALUES)


def test_nothing_is_looked_up_or_random() -> None:
    text = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    for function in ("lookup", "rand", "uuidv4", "now", "genCA", "helm.sh/hook"):
        assert function not in text
    assert render() == render()


def test_only_the_producer_gets_the_secrets_of_sources() -> None:
    secrets = [{"name": "kis", "keys": ["appkey", "appsecret"]}]
    found = deployments(render({"secrets": secrets}))
    for each in found.values():
        check(each)
    producer = found["demo-producer"]["spec"]["template"]["spec"]
    volume = next(each for each in producer["volumes"] if each["name"] == "secrets")
    (projection,) = volume["projected"]["sources"]
    assert projection["secret"]["name"] == "kis"
    assert projection["secret"]["optional"] is True, "the service says what is missing"
    assert [item["path"] for item in projection["secret"]["items"]] == ["kis/appkey", "kis/appsecret"]
    for container in producer["initContainers"] + producer["containers"]:
        assert "/etc/stockpipeline-secrets" in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert "secrets" not in yaml.safe_dump(found["demo-detector"])


def pod(values: Object, component: str) -> Object:
    spec: Object = deployments(render(values))[f"demo-{component}"]["spec"]["template"]["spec"]
    return spec


def with_parts(store: Object | None = None, replica: Object | None = None) -> Object:
    return {"store": STORED["store"] | (store or {}), "replica": STORED["replica"] | (replica or {})}


def test_one_store_writes_and_replicas_read_its_volume_on_its_node() -> None:
    found = deployments(render(STORED))
    assert found["demo-store"]["spec"]["replicas"] == 1
    assert found["demo-store"]["spec"]["strategy"] == {"type": "Recreate"}
    assert found["demo-replica"]["spec"]["replicas"] == 2
    replica = pod(STORED, "replica")
    (mount,) = [one for one in replica["containers"][0]["volumeMounts"] if one["name"] == "store"]
    assert mount["readOnly"] is True
    (near,) = replica["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert near["labelSelector"]["matchLabels"].items() <= (
        found["demo-store"]["spec"]["template"]["metadata"]["labels"].items()
    )


def test_with_an_object_store_replicas_are_spread_and_have_its_keys() -> None:
    far = with_parts({"secret": "keys"}, {"storeVolume": False})
    spec = pod(far, "replica")
    assert "affinity" not in spec
    (spread,) = spec["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == "replica"
    assert not [one for one in spec["volumes"] if "persistentVolumeClaim" in one]
    for component in ("store", "replica"):
        assert pod(far, component)["containers"][0]["envFrom"] == [{"secretRef": {"name": "keys"}}]
    # Queries of strangers have no use for them.
    assert "envFrom" not in spec["containers"][1]
    anywhere = pod(with_parts(replica={"storeVolume": False, "placement": "Anywhere"}), "replica")
    assert "topologySpreadConstraints" not in anywhere


def test_the_process_that_answers_sql_is_not_the_one_that_pulls() -> None:
    pull, sql = pod(STORED, "replica")["containers"]
    assert pull["args"][0] == "replica-sync"
    assert sql["args"][:2] == ["replica", "serve"]
    assert [port["name"] for port in sql["ports"]] == ["sql"]
    assert not [one for one in sql["volumeMounts"] if one["name"] == "store"]


def test_the_volume_stays_where_it_is_to_be_retained() -> None:
    for retain in (False, True):
        (claim,) = [
            one for one in render(with_parts({"retain": retain})) if one["kind"] == "PersistentVolumeClaim"
        ]
        metadata = claim["metadata"]
        assert ("ownerReferences" in metadata) is not retain
        assert (metadata.get("annotations", {}).get("helm.sh/resource-policy") == "keep") is retain


def test_a_change_of_the_store_restarts_neither_producer_nor_detector() -> None:
    usual, changed = deployments(render(STORED)), deployments(render(with_parts({"config": "{}"})))
    same = {name for name in usual if usual[name]["spec"]["template"] == changed[name]["spec"]["template"]}
    assert same == {"demo-producer", "demo-detector"}


def test_a_pipeline_without_a_store_is_as_it_was() -> None:
    (config,) = [one for one in render() if one["kind"] == "ConfigMap"]
    assert set(config["data"]) == {"pipeline.json"}
    assert "annotations" not in deployments(render())["demo-producer"]["metadata"]


def step(values: Object) -> Object:
    """The pod of a step of the batch."""
    (found,) = [
        each for each in render(values) if each["metadata"]["name"] == "demo-batch" and "data" in each
    ]
    return dict(yaml.safe_load(found["data"]["pod.yaml"]))


def test_the_pods_of_a_batchs_steps_pass_the_restricted_profile() -> None:
    template = step(STORED | {"batch": BATCH | COMPONENT})
    spec = template["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"] == COMPONENT["resources"]
    assert container["image"] == COMPONENT["image"]
    assert {"batch", "store"} <= {volume["name"] for volume in spec["volumes"]}
    check({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "step"}, "spec": spec})


def test_a_step_is_where_the_stores_volume_is_if_it_needs_it() -> None:
    assert "podAffinity" in step(STORED | {"batch": BATCH})["spec"]["affinity"]
    far = step(STORED | {"batch": BATCH | {"storeVolume": False}})["spec"]
    assert "affinity" not in far
    assert "store" not in {volume["name"] for volume in far["volumes"]}


def test_airflow_may_touch_what_the_batch_needs_and_no_more() -> None:
    (role,) = [each for each in render({"batch": BATCH}) if each["kind"] == "Role"]
    verbs = {
        (resource, *rule.get("resourceNames", ())): set(rule["verbs"])
        for rule in role["rules"]
        for resource in rule["resources"]
    }
    assert verbs == {
        ("jobs",): {"get", "create", "patch", "delete"},
        ("pods",): {"list"},
        ("pods/log",): {"get"},
        ("configmaps", "demo-batch"): {"get"},
        ("configmaps", "demo-batch-run"): {"get", "patch"},
    }
