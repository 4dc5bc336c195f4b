"""Loads what a driver and executors in pods load, so that the image has an archive of these classes."""

from __future__ import annotations

import json

from pyspark import SparkConf, SparkContext

BACKEND = "org.apache.spark.scheduler.cluster.k8s"
NAMES = (
    f"{BACKEND}.KubernetesClusterManager",
    f"{BACKEND}.KubernetesClusterSchedulerBackend",
    f"{BACKEND}.KubernetesExecutorBackend",
    f"{BACKEND}.KubernetesExecutorBuilder",
    f"{BACKEND}.ExecutorPodsAllocator",
    f"{BACKEND}.ExecutorPodsLifecycleManager",
    f"{BACKEND}.ExecutorPodsPollingSnapshotSource",
    f"{BACKEND}.ExecutorPodsWatchSnapshotSource",
    "org.apache.spark.executor.CoarseGrainedExecutorBackend",
)
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "executor", "labels": {"a": "b"}, "ownerReferences": [{"name": "driver"}]},
    "spec": {
        "containers": [
            {
                "name": "executor",
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                "securityContext": {"capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "lake", "mountPath": "/lake"}],
            }
        ],
        "volumes": [{"name": "lake", "persistentVolumeClaim": {"claimName": "lake"}}],
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
    },
    "status": {"phase": "Running", "containerStatuses": [{"name": "executor", "state": {"running": {}}}]},
}

conf = SparkConf().setAppName("load-classes").set("spark.eventLog.enabled", "true")
conf.set("spark.eventLog.dir", "file:///tmp").set("spark.driver.host", "127.0.0.1")
spark = SparkContext(conf=conf.set("spark.driver.bindAddress", "127.0.0.1"))
assert sorted(spark.parallelize(range(8), 4).map(lambda one: one + 1).collect()) == list(range(1, 9))
java = spark._jvm  # the gateway has no other name
assert java is not None
for name in NAMES:
    java.java.lang.Class.forName(name)
serialization = java.io.fabric8.kubernetes.client.utils.Serialization
pod = java.java.lang.Class.forName("io.fabric8.kubernetes.api.model.Pod")
assert "executor" in serialization.asJson(serialization.unmarshal(json.dumps(POD), pod))
java.io.fabric8.kubernetes.client.KubernetesClientBuilder().build().close()
spark.stop()
