"""Deleting a pipeline removes all that it made, and nothing can hold the deletion for ever."""

from __future__ import annotations

import json
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from redis import Redis

from stockpipeline_operator.kube.resources import OWNED, SCALED_OBJECT, STOCK_PIPELINE, VOLUME_CLAIM
from tests.integration.operator.harness import (
    DELETION_DEADLINE_SECONDS,
    Cluster,
    Operator,
    eventually,
    pipeline,
)
from tests.integration.servers.kafka import running_broker
from tests.ports import free_port

# As much of KEDA as the operator meets.
SCALED_OBJECTS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "scaledobjects.keda.sh"},
    "spec": {
        "group": "keda.sh",
        "names": {"kind": "ScaledObject", "plural": "scaledobjects"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}


def commit_offset(kafka: str, topic: str, group: str) -> None:
    """Leave a consumer group with a committed offset, as a detector does."""
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(topic, b"tick")
    assert producer.flush(10) == 0
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    assert eventually(lambda: consumer.poll(1), "a record") is not None
    consumer.commit(asynchronous=False)
    consumer.close()


def groups(kafka: str) -> set[str]:
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.list_topics(timeout=10)  # a client that knows no broker yet finds no groups
    answer = admin.list_consumer_groups().result(10)
    assert answer.errors == []
    return {group.group_id for group in answer.valid}


def test_deletion_removes_everything_of_one_pipeline_only(
    cluster: Cluster, operator: Operator, kafka: str, redis: str
) -> None:
    server = Redis.from_url(redis)
    # The second name begins with the first one's: it must not be taken for it.
    for name in ("gone", "gone-not"):
        cluster.apply(pipeline(name))
        cluster.settled(name)
        commit_offset(kafka, f"default.{name}.ticks", f"default.{name}.detector")
        assert f"default.{name}.detector" in groups(kafka)
        server.mset({f"default.{name}:history:{number}": "bars" for number in range(1200)})

    cluster.delete("gone")

    assert cluster.release_secrets("gone") == []
    assert {resource.kind: cluster.owned(resource, "gone") for resource in OWNED} == {
        resource.kind: [] for resource in OWNED
    }
    admin = AdminClient({"bootstrap.servers": kafka})
    eventually(
        lambda: not [one for one in admin.list_topics(timeout=10).topics if one.startswith("default.gone.")],
        "the topics to go",
    )
    assert "default.gone.detector" not in groups(kafka)
    assert list(server.scan_iter("default.gone:*")) == []

    assert cluster.condition("gone-not")[:2] == ("True", "Running")
    assert "default.gone-not.state" in admin.list_topics(timeout=10).topics
    assert "default.gone-not.detector" in groups(kafka)
    assert len(list(server.scan_iter("default.gone-not:*"))) == 1200
    server.close()


def test_data_that_is_retained_is_there_for_the_next_pipeline_of_the_name(
    cluster: Cluster, operator: Operator, kafka: str, redis: str
) -> None:
    server = Redis.from_url(redis)
    cluster.apply(pipeline("heir", deletionPolicy="Retain", store={}))
    cluster.settled("heir")
    commit_offset(kafka, "default.heir.ticks", "default.heir.detector")
    server.set("default.heir:history:IBM", "bars")

    cluster.delete("heir")

    assert cluster.release_secrets("heir") == []
    assert "default.heir.*" in dict(cluster.events("heir"))["Retained"]
    assert "default.heir.ticks" in AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
    assert "default.heir.detector" in groups(kafka)
    assert server.get("default.heir:history:IBM") == b"bars"
    (kept,) = cluster.owned(VOLUME_CLAIM, "heir")
    assert "deletionTimestamp" not in kept["metadata"]
    assert "ownerReferences" not in kept["metadata"], "Kubernetes would collect it"

    cluster.apply(pipeline("heir", deletionPolicy="Delete", store={}))
    cluster.settled("heir")
    (taken,) = cluster.owned(VOLUME_CLAIM, "heir")
    assert taken["metadata"]["uid"] == kept["metadata"]["uid"]
    assert [one["name"] for one in taken["metadata"]["ownerReferences"]] == ["heir"]
    cluster.delete("heir")
    # The API server holds claims for a controller that is not here.
    assert all("deletionTimestamp" in one["metadata"] for one in cluster.owned(VOLUME_CLAIM, "heir"))
    assert "default.heir.detector" not in groups(kafka)
    assert server.get("default.heir:history:IBM") is None
    server.close()


def test_a_pipeline_may_be_made_again_after_its_deletion(cluster: Cluster, operator: Operator) -> None:
    for _ in range(2):
        cluster.apply(pipeline("again"))
        cluster.settled("again")
        assert cluster.releases("again") == [(1, "deployed")]
        cluster.delete("again")


def test_a_kafka_and_redis_that_are_gone_hold_the_deletion_only_until_its_deadline(
    cluster: Cluster, operator: Operator
) -> None:
    dead_kafka, dead_redis = f"127.0.0.1:{free_port()}", f"redis://127.0.0.1:{free_port()}/0"
    # Suspended, it is made without Kafka, and so has something to clean up.
    cluster.apply(
        pipeline("orphan", suspend=True, kafka={"bootstrapServers": dead_kafka}, redis={"url": dead_redis})
    )
    cluster.has_reason("orphan", "Suspended")

    began = time.monotonic()
    cluster.delete("orphan")
    assert time.monotonic() - began > DELETION_DEADLINE_SECONDS - 2, "it was tried until the deadline"
    notes = dict(cluster.events("orphan"))
    assert dead_kafka in notes["KafkaNotCleaned"]
    assert "default.orphan.*" in notes["KafkaNotCleaned"]
    assert dead_redis in notes["RedisNotCleaned"]


def test_topics_go_from_every_kafka_that_the_pipeline_was_told_to_use(
    cluster: Cluster, operator: Operator, kafka: str, tmp_path: Path
) -> None:
    def topics(servers: str) -> list[str]:
        found = AdminClient({"bootstrap.servers": servers}).list_topics(timeout=10).topics
        return [one for one in found if one.startswith("default.moved.")]

    with running_broker(tmp_path) as second:
        cluster.apply(pipeline("moved"))
        cluster.settled("moved")
        cluster.edit("moved", {"kafka": {"bootstrapServers": second.bootstrap}})
        cluster.settled("moved")
        assert len(topics(kafka)) == len(topics(second.bootstrap)) > 0
        assert cluster.pipeline("moved")["status"]["endpoints"]["kafka"] == [kafka, second.bootstrap]

        cluster.delete("moved")
        for servers in (kafka, second.bootstrap):
            eventually(lambda servers=servers: not topics(servers), f"the topics to go from {servers}")


def test_a_kind_that_is_gone_is_named_and_holds_no_deletion(cluster: Cluster, operator: Operator) -> None:
    """KEDA is uninstalled while a pipeline has one of its objects."""
    autoscaling = {"scaling": {"detector": {"autoscaling": {"minReplicas": 1, "maxReplicas": 2}}}}
    cluster.server.kubectl("apply", "--filename", "-", input=json.dumps(SCALED_OBJECTS))
    definition = f"crd/{SCALED_OBJECTS['metadata']['name']}"
    cluster.server.kubectl("wait", "--for=condition=Established", definition, "--timeout=30s")
    cluster.apply(pipeline("scaled", **autoscaling))
    eventually(lambda: cluster.get(SCALED_OBJECT, "scaled-detector"), "the autoscaler's object")

    cluster.server.kubectl("delete", definition, "--timeout=30s")
    cluster.apply(pipeline("unscaled", **autoscaling))
    assert "keda.sh/v1alpha1 ScaledObject" in cluster.has_reason("unscaled", "HelmFailed")
    for name in ("scaled", "unscaled"):
        cluster.delete(name)
        assert cluster.release_secrets(name) == []
        assert all(cluster.owned(resource, name) == [] for resource in OWNED)


def test_a_pipeline_that_made_nothing_goes_at_once(cluster: Cluster, operator: Operator) -> None:
    dead_kafka = f"127.0.0.1:{free_port()}"
    cluster.apply(pipeline("unmade", kafka={"bootstrapServers": dead_kafka}))
    cluster.has_reason("unmade", "Blocked")
    assert "finalizers" not in cluster.pipeline("unmade")["metadata"]

    began = time.monotonic()
    cluster.delete("unmade")
    assert time.monotonic() - began < DELETION_DEADLINE_SECONDS, "there was nothing to wait for"
    assert "KafkaNotCleaned" not in dict(cluster.events("unmade"))


def test_a_deletion_that_nobody_saw_is_carried_out_later(cluster: Cluster, operator: Operator) -> None:
    cluster.apply(pipeline("unseen"))
    cluster.settled("unseen")
    operator.kill()
    cluster.server.kubectl("delete", "stockpipeline", "unseen", "--wait=false")
    operator.start()
    eventually(lambda: cluster.get(STOCK_PIPELINE, "unseen") is None, "the deletion")
    assert cluster.release_secrets("unseen") == []


def test_a_namespace_that_is_going_away_lets_its_pipelines_go(cluster: Cluster, operator: Operator) -> None:
    cluster.server.kubectl("create", "namespace", "doomed")
    cluster.apply(pipeline("last", namespace="doomed"))
    cluster.settled("last", namespace="doomed")
    # From now on nothing can be created in it, not even an event.
    cluster.server.kubectl("delete", "namespace", "doomed", "--wait=false")
    cluster.delete("last", namespace="doomed")
    assert cluster.release_secrets("last", namespace="doomed") == []
