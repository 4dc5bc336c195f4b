"""The chart of the operator: valid, locked down, with no more rights than it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import Chart, HelmValuesError

from stockpipeline_operator.kube.resources import OPTIONAL, OWNED
from stockpipeline_operator.settings import Settings
from tests.unit.charts.combinations import check_all, combinations, merged

CHART = Path(__file__).parents[3] / "charts" / "stockpipeline-operator"
NAME = "stockpipeline-operator"
NAMESPACE = "stockpipeline-system"
VALUES: dict[str, Any] = {"image": {"tag": "1"}, "services": {"image": {"tag": "2"}}}
COMBINATIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "namespaces": {"watchNamespaces": ["desk", "lab"]},
    "everything": {
        "imagePullSecrets": [{"name": "registry"}],
        "networkPolicy": {"enabled": False},
        "logLevel": "debug",
        "replicas": 1,
        "workers": 8,
        "services": {
            "image": {"tag": "2"},
            "imagePullSecrets": [{"name": "a"}, {"name": "b"}],
            "resources": {"producer": {"limits": {"memory": "1Gi"}}},
        },
    },
}
TRACING: dict[str, Any] = {
    "endpoint": "http://otel-collector.observability:4318",
    "ratio": 0.1,
    "headers": {"name": "collector", "key": "headers"},
}
CHOICES: dict[str, list[Any]] = {
    "crd.install": [True, False],
    "watchNamespaces": [[], ["desk", "lab"]],
    "networkPolicy": [
        {"enabled": False},
        {"egress": {"enabled": False}},
        {"egress": {"enabled": True}},
        {"egress": {"enabled": True, "ports": [9094]}},
    ],
    "replicas": [1, 2],
    "imagePullSecrets": [[], [{"name": "registry"}]],
    "tracing": [{}, TRACING],
    "services": [{}, COMBINATIONS["everything"]["services"]],
}

Object = dict[str, Any]


def render_all(values: Object | None = None, namespace: str = NAMESPACE) -> list[Object]:
    manifests = Chart.load(CHART).render(VALUES | (values or {}), name=NAME, namespace=namespace)
    return [found for text in manifests.values() for found in yaml.safe_load_all(text) if found]


def is_hook(found: Object) -> bool:
    return "helm.sh/hook" in found["metadata"].get("annotations", {})


def render(values: Object | None = None, namespace: str = NAMESPACE) -> list[Object]:
    """What is installed; not what runs afterwards."""
    return [found for found in render_all(values, namespace) if not is_hook(found)]


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [each for each in objects if each["kind"] == kind]


def container(objects: list[Object]) -> Object:
    (deployment,) = of_kind(objects, "Deployment")
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_every_object_of_every_combination_is_valid() -> None:
    every = (merged(VALUES, values) for values in combinations(CHOICES))
    assert check_all(CHART, every, name=NAME, namespace=NAMESPACE) > 20


def test_the_pod_passes_the_restricted_profile() -> None:
    (deployment,) = of_kind(render(), "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    context = container(render())["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert deployment["spec"]["template"]["metadata"]["annotations"]["prometheus.io/scrape"] == "true"


def test_two_replicas_are_kept_apart_and_never_evicted_together() -> None:
    objects = render()
    (deployment,) = of_kind(objects, "Deployment")
    (budget,) = of_kind(objects, "PodDisruptionBudget")
    assert deployment["spec"]["replicas"] == 2
    assert budget["spec"]["maxUnavailable"] == 1
    labels = deployment["spec"]["selector"]["matchLabels"]
    assert budget["spec"]["selector"]["matchLabels"] == labels
    affinity = deployment["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]
    (preferred,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred["podAffinityTerm"]["labelSelector"]["matchLabels"] == labels


def test_a_single_replica_can_be_evicted() -> None:
    objects = render({"replicas": 1})
    assert not of_kind(objects, "PodDisruptionBudget"), "it would block every drain of a node"
    (deployment,) = of_kind(objects, "Deployment")
    assert "affinity" not in deployment["spec"]["template"]["spec"]


def test_the_replicas_share_one_lease_and_have_no_right_to_any_other() -> None:
    objects = render()
    lease = {one["name"]: one["value"] for one in container(objects)["env"]}["STOCKPIPELINE_OPERATOR_LEASE"]
    assert lease == f"{NAMESPACE}/{NAME}"
    (role,) = of_kind(objects, "Role")
    assert role["metadata"]["namespace"] == NAMESPACE
    assert [(rule["verbs"], rule.get("resourceNames")) for rule in role["rules"]] == [
        (["create"], None),
        (["get", "patch"], [NAME]),
    ]


def test_the_operator_can_read_its_environment(tmp_path: Path) -> None:
    environment = {
        one["name"]: one["value"] for one in container(render({"watchNamespaces": ["desk"]}))["env"]
    }
    assert environment["STOCKPIPELINE_OPERATOR_CHART"] == "/opt/stockpipeline/charts/stockpipeline"
    settings = Settings.from_environment(environment | {"STOCKPIPELINE_OPERATOR_CHART": str(tmp_path)})
    assert settings.services_tag == "2"
    assert settings.namespaces == ("desk",)
    assert settings.kafka_bootstrap_servers == "kafka.stockpipeline-backends.svc:9092"
    assert settings.redis_url == "redis://redis.stockpipeline-backends.svc:6379/0"


def test_what_is_for_the_pipelines_reaches_the_operator(tmp_path: Path) -> None:
    environment = {one["name"]: one["value"] for one in container(render(COMBINATIONS["everything"]))["env"]}
    settings = Settings.from_environment(environment | {"STOCKPIPELINE_OPERATOR_CHART": str(tmp_path)})
    assert settings.services_pull_secrets == ("a", "b")
    assert settings.services_resources["producer"].limits.memory == "1Gi"


@pytest.mark.parametrize("tag", ["", "3"])
def test_the_operator_handles_pods_only_where_there_is_a_spark_to_give_that_right_to(
    tag: str, tmp_path: Path
) -> None:
    objects = render({"spark": {"image": {"tag": tag}}})
    environment = {one["name"]: one["value"] for one in container(objects)["env"]}
    settings = Settings.from_environment(environment | {"STOCKPIPELINE_OPERATOR_CHART": str(tmp_path)})
    assert settings.spark_image == ("localhost/stockpipeline/spark:3" if tag else "")
    verbs = {verb for rule in bound_rules(objects) if "pods" in rule["resources"] for verb in rule["verbs"]}
    assert verbs == ({"get", "list", "watch", "create", "delete", "deletecollection"} if tag else {"list"})


def bound_rules(objects: list[Object]) -> list[Object]:
    """The rules of all roles that are bound to the operator."""
    bound = {
        (each["roleRef"]["kind"], each["roleRef"]["name"], each["metadata"].get("namespace"))
        for kind in ("RoleBinding", "ClusterRoleBinding")
        for each in of_kind(objects, kind)
    }
    return [
        rule
        for kind in ("Role", "ClusterRole")
        for each in of_kind(objects, kind)
        if (kind, each["metadata"]["name"], each["metadata"].get("namespace")) in bound
        for rule in each["rules"]
    ]


@pytest.mark.parametrize("values", COMBINATIONS.values(), ids=COMBINATIONS)
def test_rights_are_named_one_by_one(values: Object) -> None:
    rules = bound_rules(render(values))
    assert rules
    for rule in rules:
        assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"]
    verbs = {resource: set(rule["verbs"]) for rule in rules for resource in rule["resources"]}
    assert verbs["pods"] == {"list"}
    assert "watch" not in verbs["secrets"]
    # Everything else is applied, which is a patch.
    assert {resource for resource in verbs if "update" in verbs[resource]} == {
        "secrets", "stockpipelines/finalizers",
    }  # fmt: skip
    assert not {"create", "delete"} & verbs["stockpipelines"], "pipelines belong to their users"
    assert {resource.plural for resource in OWNED} <= verbs.keys()
    allowed = {resource.plural for resource in (*OWNED, *OPTIONAL)} | {
        "stockpipelines", "stockpipelines/status", "stockpipelines/finalizers", "secrets", "pods", "events",
        "customresourcedefinitions", "leases", "jobs", "pods/log",
    }  # fmt: skip
    assert verbs.keys() <= allowed


def test_a_list_of_namespaces_limits_the_rights_to_them() -> None:
    objects = render({"watchNamespaces": ["desk", "lab"]})
    name = f"{NAMESPACE}:{NAME}"
    (everywhere,) = [one for one in of_kind(objects, "ClusterRole") if one["metadata"]["name"] == name]
    resources = {resource for rule in everywhere["rules"] for resource in rule["resources"]}
    assert resources == {"stockpipelines", "stockpipelines/status", "stockpipelines/finalizers"}
    for role in of_kind(objects, "Role"):
        assert not [one for rule in role["rules"] for one in rule["resources"] if one in resources]
    assert {each["metadata"]["namespace"] for each in of_kind(objects, "RoleBinding")} == {
        "desk", "lab", NAMESPACE,
    }  # fmt: skip


def test_two_installations_in_one_cluster_share_no_object() -> None:
    """Also under the same name, and each with its own Lease."""

    def identities(values: Object, namespace: str) -> set[tuple[str, str, str]]:
        return {
            (one["kind"], one["metadata"]["name"], one["metadata"].get("namespace", ""))
            for one in render(values, namespace)
            if one["kind"] in ("ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition")
            or "namespace" in one["metadata"]
        }

    first = identities({"watchNamespaces": ["desk"]}, NAMESPACE)
    second = identities({"watchNamespaces": ["lab"], "crd": {"install": False}}, "elsewhere")
    assert ("Role", f"{NAME}-lease", NAMESPACE) in first
    assert ("Role", f"{NAME}-lease", "elsewhere") in second
    assert not first & second


def ports(rules: list[Object]) -> set[tuple[str, Any]]:
    return {(port["protocol"], port["port"]) for rule in rules for port in rule["ports"]}


def test_the_operator_reaches_and_is_reached_at_what_it_needs_only() -> None:
    values = {
        "defaults": {
            "kafka": {"bootstrapServers": "one:9092,two:19092"},
            "redis": {"url": "rediss://redis.example/0"},
        },
        "networkPolicy": {"enabled": True, "egress": {"enabled": True, "ports": [29092]}},
    }
    (policy,) = of_kind(render(values), "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert ports(policy["spec"]["ingress"]) == {("TCP", "metrics")}
    assert ports(policy["spec"]["egress"]) == {
        ("UDP", 53), ("TCP", 53), ("TCP", 443), ("TCP", 6443), ("TCP", 8080), ("TCP", 9092), ("TCP", 19092),
        ("TCP", 6379), ("TCP", 29092),
    }  # fmt: skip
    values["networkPolicy"]["egress"]["enabled"] = False
    (policy,) = of_kind(render(values), "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert "egress" not in policy["spec"]


def test_traces_go_where_they_are_asked_for() -> None:
    assert not [one for one in container(render())["env"] if one["name"].startswith("OTEL_")]
    objects = render({"tracing": TRACING})
    told = {one["name"]: one for one in container(objects)["env"] if one["name"].startswith("OTEL_")}
    assert told["OTEL_EXPORTER_OTLP_ENDPOINT"]["value"] == "http://otel-collector.observability:4318"
    assert told["OTEL_TRACES_SAMPLER_ARG"]["value"] == "0.1"
    secret = told["OTEL_EXPORTER_OTLP_HEADERS"]["valueFrom"]["secretKeyRef"]
    assert secret == {"name": "collector", "key": "headers"}
    (policy,) = of_kind(objects, "NetworkPolicy")
    assert ("TCP", 4318) in ports(policy["spec"]["egress"])
    for endpoint, port in {"https://otel.example": 443, "http://otel.example/base": 80}.items():
        (policy,) = of_kind(render({"tracing": {**TRACING, "endpoint": endpoint}}), "NetworkPolicy")
        assert ("TCP", port) in ports(policy["spec"]["egress"])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"image": {"tag": ""}}, "tag"),
        ({"defaults": {"redis": {"url": "redis://user:secret@host"}}}, "url"),
        ({"defaults": {"redis": {"url": "redis://host:6379/0?password=x"}}}, "url"),
        ({"defaults": {"kafka": {"bootstrapServers": "one:9092,two"}}}, "bootstrapServers"),
        ({"workers": 0}, "workers"),
        ({"replicas": -1}, "replicas"),
        ({"watchNamespace": "desk"}, "watchNamespace"),
    ],
)
def test_values_that_make_no_sense_are_refused(change: Object, word: str) -> None:
    with pytest.raises(HelmValuesError, match=word):
        Chart.load(CHART).validate_schema(VALUES | change)


def test_what_runs_afterwards_may_only_let_go_and_leaves_nothing() -> None:
    hooks = [found for found in render_all() if is_hook(found)]
    assert {each["metadata"]["annotations"]["helm.sh/hook"] for each in hooks} == {"post-delete"}
    policies = {each["metadata"]["annotations"]["helm.sh/hook-delete-policy"] for each in hooks}
    assert policies == {"before-hook-creation,hook-succeeded"}
    (role,) = of_kind(hooks, "ClusterRole")
    assert role["rules"] == [
        {
            "apiGroups": ["stockpipeline.dev"],
            "resources": ["stockpipelines"],
            "verbs": ["get", "list", "patch"],
        }
    ]
    (job,) = of_kind(hooks, "Job")
    pod = job["spec"]["template"]["spec"]
    (deployment,) = of_kind(render(), "Deployment")
    assert pod["securityContext"] == deployment["spec"]["template"]["spec"]["securityContext"]
    assert pod["containers"][0]["securityContext"] == container(render())["securityContext"]
    assert pod["containers"][0]["env"] == container(render())["env"]
    weights = {each["kind"]: int(each["metadata"]["annotations"]["helm.sh/hook-weight"]) for each in hooks}
    assert max(weights, key=lambda kind: weights[kind]) == "Job", "its rights are there before it"
