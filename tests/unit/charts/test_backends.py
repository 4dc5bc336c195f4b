"""The chart of the backends: every object is valid, locked down, and called what others rely on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import Chart, HelmValuesError

from tests.unit.charts.combinations import check_all, combinations, merged

CHART = Path(__file__).parents[3] / "charts" / "stockpipeline-backends"
NAMESPACE = "stockpipeline-backends"

Object = dict[str, Any]


def render(values: dict[str, Any] | None = None) -> list[Object]:
    manifests = Chart.load(CHART).render(values=values or {}, name="backends", namespace=NAMESPACE)
    return [found for text in manifests.values() for found in yaml.safe_load_all(text) if found]


def one(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = [each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    for each in objects:
        if each["kind"] in ("StatefulSet", "Deployment"):
            yield each["metadata"]["name"], each["spec"]["template"]


EVERYTHING = {
    "imagePullSecrets": [{"name": "registry"}],
    "kafka": {"storage": {"size": "10Gi", "storageClassName": "fast"}},
    "prometheus": {"nodePort": 30090, "discovery": "builtin"},
    "alertmanager": {
        "webhookUrl": "http://hooks.example/alert?token=1",
        "webhookToken": {"name": "hooks", "key": "token"},
        "slackUrl": {"name": "hooks", "key": "slack"},
    },
    "networkPolicy": {"enabled": True},
    "airflow": {"enabled": True, "namespaces": ["desk"]},
}
DATABASE = {"name": "airflow", "key": "database"}
SEPARATE = {
    "airflow": {"enabled": True, "database": DATABASE, "separate": {"enabled": True, "secret": "desk"}}
}
CHOICES: dict[str, list[Any]] = {
    "imagePullSecrets": [[], [{"name": "registry"}]],
    "kafka.storage.storageClassName": [None, "fast"],
    "prometheus.nodePort": [None, 30090],
    "prometheus.discovery": ["sidecar", "builtin"],
    "alertmanager.webhookUrl": [None, "http://hooks.example/alert?token=1"],
    "alertmanager.slackUrl": [None, {"name": "hooks", "key": "slack"}],
    "networkPolicy.enabled": [False, True],
}


def test_every_object_of_every_combination_is_valid() -> None:
    separate = merged(EVERYTHING, SEPARATE)
    every = itertools.chain(combinations(CHOICES), [EVERYTHING, SEPARATE, separate])
    assert check_all(CHART, every, name="backends", namespace=NAMESPACE) > 15


@pytest.mark.parametrize("values", [{}, EVERYTHING, SEPARATE], ids=["defaults", "everything", "separate"])
def test_every_object_is_in_the_namespace_of_the_release(values: dict[str, Any]) -> None:
    for each in render(values):
        if not each["kind"].startswith("Cluster"):
            assert each["metadata"]["namespace"] == NAMESPACE


def test_rendering_twice_gives_the_same() -> None:
    assert render() == render()


def test_services_are_called_what_pipelines_and_the_operator_default_to() -> None:
    objects = render()
    workloads = dict(pods(objects))
    for name, port in {"kafka": 9092, "redis": 6379, "prometheus": 9090, "alertmanager": 9093}.items():
        spec = one(objects, "Service", name)["spec"]
        assert [each["port"] for each in spec["ports"]] == [port]
        assert spec["selector"].items() <= workloads[name]["metadata"]["labels"].items()
        targets = {each["name"]: each["containerPort"] for each in ports_of(workloads[name])}
        assert targets[spec["ports"][0]["targetPort"]] == port
    assert one(objects, "Service", "kafka-headless")["spec"]["clusterIP"] == "None"


def ports_of(template: Object) -> list[Object]:
    spec = template["spec"]
    containers = [*spec["containers"], *spec.get("initContainers", ())]
    return [port for container in containers for port in container.get("ports", ())]


def test_kafka_tells_clients_a_name_that_resolves_in_every_namespace() -> None:
    settings = one(render(), "ConfigMap", "kafka")["data"]["server.properties"].splitlines()
    assert f"advertised.listeners=PLAINTEXT://kafka.{NAMESPACE}.svc:9092" in settings


@pytest.mark.parametrize("values", [EVERYTHING, SEPARATE], ids=["everything", "separate"])
def test_pods_pass_the_restricted_profile(values: dict[str, Any]) -> None:
    for name, template in pods(render(values)):
        spec = template["spec"]
        pod = spec["securityContext"]
        assert pod["runAsNonRoot"] is True, name
        assert pod["runAsUser"] == 10001
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*spec["containers"], *spec.get("initContainers", ())]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert {"requests", "limits"} <= container["resources"].keys()
            if container["name"] not in ("migrate", "migrated", "passwords"):
                assert {"livenessProbe", "readinessProbe"} <= container.keys()
        kinds = {key for volume in spec["volumes"] for key in volume if key != "name"}
        assert kinds <= {"configMap", "secret", "emptyDir"}


def test_all_pods_together_ask_for_less_than_a_gibibyte() -> None:
    requested = sum(
        int(container["resources"]["requests"]["memory"].removesuffix("Mi"))
        for _, template in pods(render())
        for container in template["spec"]["containers"]
    )
    assert requested < 1024


def test_every_pod_is_scraped() -> None:
    for _, template in pods(render(EVERYTHING)):
        assert template["metadata"]["annotations"]["prometheus.io/scrape"] == "true"
        assert "metrics" in [port["name"] for port in ports_of(template)]


def test_only_prometheus_talks_to_the_api_and_may_only_find_pods() -> None:
    objects = render()
    mounted = {name: template["spec"]["automountServiceAccountToken"] for name, template in pods(objects)}
    assert mounted == {"kafka": False, "redis": False, "prometheus": True, "alertmanager": False}
    (role,) = [each for each in objects if each["kind"] == "ClusterRole"]
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]


@pytest.mark.parametrize(
    ("values", "restarted"),
    [
        ({"kafka": {"retention": {"hours": 1}}}, "kafka"),
        ({"redis": {"maxMemory": "64mb"}}, "redis"),
        ({"prometheus": {"scrapeInterval": "15s"}}, "prometheus"),
        ({"alertmanager": {"webhookUrl": "http://hooks.example"}}, "alertmanager"),
    ],
    ids=["kafka", "redis", "prometheus", "alertmanager"],
)
def test_a_changed_setting_restarts_the_pod_that_reads_it_and_no_other(
    values: dict[str, Any], restarted: str
) -> None:
    before, after = dict(pods(render())), dict(pods(render(values)))
    assert [name for name in before if before[name] != after[name]] == [restarted]


def test_the_image_is_the_one_in_the_values() -> None:
    values = {
        "redis": {"image": {"repository": "registry.example/redis", "tag": "abc", "pullPolicy": "Always"}}
    }
    for container in dict(pods(render(values)))["redis"]["spec"]["containers"]:
        assert container["image"] == "registry.example/redis:abc"
        assert container["imagePullPolicy"] == "Always"


def test_prometheus_is_on_a_node_port_only_where_asked_for() -> None:
    assert one(render(), "Service", "prometheus")["spec"]["type"] == "ClusterIP"
    spec = one(render({"prometheus": {"nodePort": 30090}}), "Service", "prometheus")["spec"]
    assert spec["type"] == "NodePort"
    assert spec["ports"][0]["nodePort"] == 30090


def test_claims_name_a_storage_class_only_where_one_is_chosen() -> None:
    def claim(values: dict[str, Any]) -> Object:
        found: Object = one(render(values), "StatefulSet", "kafka")["spec"]["volumeClaimTemplates"][0]["spec"]
        return found

    assert "storageClassName" not in claim({})
    assert claim(EVERYTHING)["storageClassName"] == "fast"


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"kafka": {"heap": "lots"}}, "/kafka/heap"),
        ({"prometheus": {"nodePort": 9090}}, "/prometheus/nodePort"),
        ({"redis": {"maxmemory": "1gb"}}, "/redis"),
        ({"alertmanager": {"webhookUrl": "hooks.example"}}, "/alertmanager/webhookUrl"),
        ({"alertmanager": {"slackUrl": "http://hooks.example"}}, "/alertmanager/slackUrl"),
        ({"airflow": {"database": "postgresql://me:secret@db.example/airflow"}}, "/airflow/database"),
        ({"airflow": {"separate": {"enabled": True}}}, "/airflow': missing property 'database'"),
    ],
    ids=["heap", "port", "misspelt", "url", "secret", "password", "SQLite for all"],
)
def test_wrong_values_are_refused_with_their_place(values: dict[str, Any], where: str) -> None:
    with pytest.raises(HelmValuesError, match=where):
        render(values)


def test_airflow_is_there_where_it_is_asked_for_and_reached_from_inside_its_pod_alone() -> None:
    assert "airflow" not in dict(pods(render()))
    objects = render({"airflow": {"enabled": True}})
    template = dict(pods(objects))["airflow"]
    assert [each["name"] for each in template["spec"]["containers"]] == ["scheduler", "dag-processor"]
    before = template["spec"]["initContainers"]
    assert [each["name"] for each in before] == ["companion", "migrate", "api-server"]
    assert before[2]["args"][:3] == ["api-server", "--host", "127.0.0.1"]
    (port,) = one(objects, "Service", "airflow")["spec"]["ports"]
    assert port["name"] == "metrics"
    (role,) = [each for each in objects if each["metadata"]["name"].endswith("airflow") and "rules" in each]
    assert role["rules"] == [
        {"apiGroups": ["stockpipeline.dev"], "resources": ["stockpipelines"], "verbs": ["list"]}
    ]


def env(container: Object) -> dict[str, Any]:
    """What a container's environment is, secrets as NAME/KEY."""
    found = {}
    for each in container["env"]:
        secret = each.get("valueFrom", {}).get("secretKeyRef")
        found[each["name"]] = each.get("value") if secret is None else f"{secret['name']}/{secret['key']}"
    return found


def containers(template: Object) -> dict[str, Object]:
    spec = template["spec"]
    return {each["name"]: each for each in [*spec.get("initContainers", ()), *spec["containers"]]}


@pytest.mark.parametrize("separate", [False, True])
def test_airflows_database_is_known_to_airflows_programs_alone(separate: bool) -> None:
    values = {
        "airflow": {"enabled": True, "database": DATABASE, "separate": {"enabled": separate, "secret": "x"}}
    }
    know = set()
    for _, template in pods(render(values)):
        for name, container in containers(template).items():
            if "airflow/database" in env({"env": [], **container}).values():
                know.add(name)
                assert env(container)["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "airflow/database"
                assert env(container)["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC"] == "airflow/database"
    waits = {"migrated"} if separate else set()
    assert know == {"migrate", "api-server", "scheduler", "dag-processor", *waits}


class TestSeparateAirflow:
    PARTS = ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor")

    def test_each_part_has_a_pod(self) -> None:
        workloads = dict(pods(render(SEPARATE)))
        assert "airflow" not in workloads
        found = {name: list(containers(workloads[name])) for name in self.PARTS}
        assert found == {
            "airflow-api-server": ["migrate", "passwords", "api-server"],
            "airflow-scheduler": ["companion", "migrated", "scheduler"],
            "airflow-dag-processor": ["companion", "migrated", "dag-processor"],
        }

    def test_whoever_reaches_the_api_has_to_log_in(self) -> None:
        workloads = dict(pods(render(SEPARATE)))
        server = containers(workloads["airflow-api-server"])
        assert "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS" not in env(server["api-server"])
        assert env(server["api-server"])["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == (
            "admin:admin,companion:user"
        )
        assert env(server["passwords"]) == {
            "ADMIN": "desk/admin-password",
            "COMPANION": "desk/companion-password",
        }
        for name in self.PARTS[1:]:
            companion = env(containers(workloads[name])["companion"])
            assert companion["STOCKPIPELINE_AIRFLOW_PASSWORD"] == "desk/companion-password"
            assert companion["STOCKPIPELINE_AIRFLOW_URL"] == "http://airflow-api-server:8080"

    def test_parts_trust_each_other_by_the_same_secret(self) -> None:
        workloads = dict(pods(render(SEPARATE)))
        for name in self.PARTS:
            found = env(containers(workloads[name])[name.removeprefix("airflow-")])
            assert found["AIRFLOW__API_AUTH__JWT_SECRET"] == "desk/jwt-secret"
            assert found["AIRFLOW__API__SECRET_KEY"] == "desk/secret-key"
            assert found["AIRFLOW__CORE__FERNET_KEY"] == "desk/fernet-key"
            assert found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"].startswith(
                "http://airflow-api-server:8080/"
            )

    def test_only_what_reads_dags_talks_to_kubernetes(self) -> None:
        workloads = dict(pods(render(SEPARATE)))
        mounted = [workloads[name]["spec"]["automountServiceAccountToken"] for name in self.PARTS]
        assert mounted == [False, True, True]

    def test_policies_admit_the_parts_to_each_other_and_nobody_else(self) -> None:
        objects = render({**SEPARATE, "networkPolicy": {"enabled": True}})

        def admitted(name: str) -> dict[str, set[str]]:
            spec = one(objects, "NetworkPolicy", name)["spec"]
            assert spec["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == name
            return {
                rule["ports"][0]["port"]: {
                    each["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for each in rule["from"]
                }
                for rule in spec["ingress"]
            }

        assert admitted("airflow-api-server") == {"api": {"airflow-scheduler", "airflow-dag-processor"}}
        assert admitted("airflow-scheduler") == {"metrics": {"prometheus"}, "logs": {"airflow-api-server"}}
        assert admitted("airflow-dag-processor") == {}
