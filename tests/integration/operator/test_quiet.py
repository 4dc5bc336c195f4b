"""What the operator asks of the API server, as the server's own audit log has it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from stockpipeline_operator.kube.resources import CONFIG_MAP, EVENT
from tests.audit import Request
from tests.integration.api_server import OPERATOR_NAMESPACE
from tests.integration.operator.harness import OPERATOR_NAME, Cluster, Operator, eventually, pipeline

ACCOUNT = f"system:serviceaccount:{OPERATOR_NAMESPACE}:{OPERATOR_NAME}"
QUIET = ("one", "two", "three")


def asked(cluster: Cluster, mark: int = 0) -> list[Request]:
    return [one for one in cluster.server.audit.since(mark) if one.user == ACCOUNT]


def test_a_restart_writes_nothing(cluster: Cluster, operator: Operator) -> None:
    cluster.server.kubectl("create", "namespace", "quiet")
    for name in QUIET:
        cluster.apply(pipeline(name, namespace="quiet"))
    for name in QUIET:
        cluster.settled(name, namespace="quiet")
    operator.kill()
    mark = cluster.server.audit.mark()
    operator.start()

    def looked_at() -> bool:
        seen = [one for one in asked(cluster, mark) if one.namespace == "quiet"]
        passes = {name: sum(one.verb == "get" and one.name == name for one in seen) for name in QUIET}
        return min(passes.values()) >= 1 and operator.metric("stockpipeline_operator_queue_depth") == 0

    eventually(looked_at, "a pass over each pipeline", seconds=90)
    assert [one for one in asked(cluster, mark) if one.writes and one.namespace == "quiet"] == []


def test_secrets_and_pods_are_never_listed_beyond_a_namespace(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("modest"))
    cluster.settled("modest")
    requests = asked(cluster)
    sensitive = [one for one in requests if one.resource in ("secrets", "pods")]
    assert sensitive, "releases are kept in Secrets"
    assert {one.namespace for one in sensitive if not one.namespace} == set()
    assert {one.verb for one in sensitive if one.resource == "secrets"}.isdisjoint({"watch"})


def test_the_rights_of_the_chart_are_enough(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("entitled"))
    cluster.settled("entitled")
    cluster.edit("entitled", {"universe": {"symbols": ["MSFT"]}})
    cluster.settled("entitled")
    cluster.delete("entitled")
    refused = [one for one in asked(cluster) if one.status == 403]
    # In a namespace that is being deleted nothing can be created: that answer has the same code.
    assert [one for one in refused if one.verb != "create"] == []


def test_no_credential_is_told(cluster: Cluster, operator: Operator, rights: Path) -> None:
    """Neither the operator's own nor what lies in Secrets, at the most talkative level too."""
    cluster.server.kubectl("create", "secret", "generic", "treasure", "--from-literal=key=xyzzy-plugh-4711")
    cluster.apply(pipeline("discreet", kafka={"bootstrapServers": "127.0.0.1:1"}))
    cluster.has_reason("discreet", "Blocked")
    told = operator.log.read_text() + operator.read("/metrics")[1] + operator.read("/readyz")[1]
    told += json.dumps(cluster.pipeline("discreet").get("status"))
    for kind in (EVENT, CONFIG_MAP):
        told += json.dumps(list(cluster.client.list(kind.path("default"))))
    token = yaml.safe_load(rights.read_text())["users"][0]["user"]["token"]
    for secret in (token, token.split(".")[2], "xyzzy-plugh-4711"):
        assert secret not in told
