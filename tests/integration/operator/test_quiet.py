"""What the operator asks of the API server, as the server's own audit log has it."""

from __future__ import annotations

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
