"""Puts the product on a cluster: backends, operator, example, and waits until signals flow."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from cluster import environment, observe
from cluster.backend import Cluster
from cluster.imagebuild import Image
from cluster.observe import kubectl
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.shell import CommandError, run, wait_until

SYSTEM_NAMESPACE = "stockpipeline-system"
BACKENDS_NAMESPACE = "stockpipeline-backends"
OPERATOR_RELEASE = "stockpipeline-operator"
BACKENDS_RELEASE = "backends"
PROMETHEUS_NODE_PORT = 30090  # also in kind-config.yaml
EXAMPLE = Path("examples/replay.yaml")
EXAMPLE_KEY = ("default", "demo")

# The images that must be there before pipelines can be made.
SERVERS = ("kafka", "operator", "prometheus", "redis")

ROLLOUT_TIMEOUT = 300.0
FIRST_SIGNAL_TIMEOUT = 180.0


def image_values(image: Image) -> dict[str, str]:
    """Return an image as the charts take it."""
    repository, _, tag = image.reference.rpartition(":")
    return {"repository": repository, "tag": tag}


def namespaces(cluster: Cluster) -> None:
    """Make the product's namespaces, with the strictest Pod Security profile enforced."""
    manifests = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        }
        for name in (SYSTEM_NAMESPACE, BACKENDS_NAMESPACE)
    ]
    observe.apply(cluster, {"apiVersion": "v1", "kind": "List", "items": manifests})


def release(
    settings: Settings, cluster: Cluster, chart: str, name: str, namespace: str, values: Mapping[str, Any]
) -> str:
    """Bring a Helm release to the chart and values; return "unchanged", "installed" or "upgraded"."""
    done = run(
        [environment.python(settings), "-m", "cluster.helm_release",
         "--kubeconfig", cluster.kubeconfig, "--namespace", namespace,
         "--chart", settings.repo / "charts" / chart, "--name", name],
        input=json.dumps(values),
        cwd=settings.repo,
    )  # fmt: skip
    return done.stdout.strip()


def wait_for_rollout(cluster: Cluster, namespace: str) -> None:
    """Wait until every Deployment and StatefulSet of the namespace runs its newest version."""
    workloads = kubectl(
        cluster, "get", "deployments,statefulsets", "--namespace", namespace, "--output", "name"
    ).split()
    for workload in workloads:
        kubectl(
            cluster, "rollout", "status", workload, "--namespace", namespace,
            f"--timeout={ROLLOUT_TIMEOUT:.0f}s", timeout=ROLLOUT_TIMEOUT + 30,
        )  # fmt: skip


class ImageLoading:
    """Gives the nodes every image that they lack, two at a time, beginning with what is deployed first."""

    def __init__(self, cluster: Cluster, images: Mapping[str, Image]) -> None:
        present = cluster.images()
        self._pool = ThreadPoolExecutor(max_workers=2)
        self._loads = {
            name: self._pool.submit(cluster.load_image, images[name].tar, images[name].reference)
            for name in sorted(images, key=lambda name: name not in SERVERS)
            if images[name].reference not in present
        }

    def wait_for(self, *names: str) -> None:
        """Return when these images are loaded; raises what their loading raised."""
        for name in names:
            if name in self._loads:
                self._loads[name].result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)


def backends_values(settings: Settings, images: Mapping[str, Image]) -> dict[str, Any]:
    """Return the values of the backends' chart."""
    values: dict[str, Any] = {
        "kafka": {"image": image_values(images["kafka"])},
        "redis": {"image": image_values(images["redis"])},
        "prometheus": {"image": image_values(images["prometheus"]), "nodePort": PROMETHEUS_NODE_PORT},
    }
    if settings.airflow:
        values["airflow"] = {"enabled": True, "image": image_values(images["airflow"])}
    return values


def backends(settings: Settings, cluster: Cluster, values: Mapping[str, Any]) -> str:
    """Bring the release of the backends to these values; return as `release`."""
    return release(settings, cluster, "stockpipeline-backends", BACKENDS_RELEASE, BACKENDS_NAMESPACE, values)


def product(settings: Settings, cluster: Cluster, images: Mapping[str, Image], progress: Progress) -> None:
    """Install or update the backends and the operator and wait until they run."""
    with progress.step("Deploy Kafka, Redis, Prometheus and the operator"):
        namespaces(cluster)
        outcome = backends(settings, cluster, backends_values(settings, images))
        progress.note(f"{BACKENDS_RELEASE}: {outcome}")
        values: dict[str, Any] = {
            "image": image_values(images["operator"]),
            "services": {"image": image_values(images["services"])},
        }
        if "spark" in images:
            values["spark"] = {"image": image_values(images["spark"])}
        outcome = release(
            settings, cluster, "stockpipeline-operator", OPERATOR_RELEASE, SYSTEM_NAMESPACE, values
        )
        progress.note(f"{OPERATOR_RELEASE}: {outcome}")
        for namespace in (BACKENDS_NAMESPACE, SYSTEM_NAMESPACE):
            wait_for_rollout(cluster, namespace)


def apply_pipeline(
    settings: Settings, cluster: Cluster, progress: Progress, path: Path, key: tuple[str, str]
) -> None:
    """Apply the pipeline in a file of the repository and wait until it is ready.

    `key` is its namespace and name.
    """
    namespace, name = key
    with progress.step(f"Apply {path} and wait until it is ready"):
        kubectl(cluster, "apply", "--filename", str(settings.repo / path))
        wait_until(
            lambda: is_ready(cluster, namespace, name),
            ROLLOUT_TIMEOUT,
            f"StockPipeline {namespace}/{name} is ready (see `kubectl describe stockpipeline {name}`)",
        )


def example(settings: Settings, cluster: Cluster, progress: Progress) -> None:
    """Apply the example pipeline and wait for its first signal."""
    namespace, name = EXAMPLE_KEY
    apply_pipeline(settings, cluster, progress, EXAMPLE, EXAMPLE_KEY)
    with progress.step("Wait for the first signal"):
        wait_until(
            lambda: observe.last_signals(cluster, namespace, name, 1),
            FIRST_SIGNAL_TIMEOUT,
            f"a signal of {namespace}/{name}",
        )


def is_ready(cluster: Cluster, namespace: str, name: str) -> bool:
    """Return whether a pipeline is ready."""
    try:
        found = kubectl(cluster, "get", "stockpipeline", name, "--namespace", namespace, "--output", "json")
    except CommandError:  # a restart of the API server must not end the wait
        return False
    return observe.readiness(json.loads(found))[0]


def link_programs(settings: Settings, cluster: Cluster) -> Path:
    """Make the cluster's kubectl and helm easy to call; return the folder with the links."""
    folder = settings.repo / "build" / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for program in (cluster.kubectl, cluster.kubectl.with_name("helm")):
        if program.exists():
            link = folder / program.name
            link.unlink(missing_ok=True)
            link.symlink_to(program)
    return folder


def summary(settings: Settings, cluster: Cluster) -> None:
    """Print the table of pipelines, their last signals, and where to look."""
    prometheus = f"http://127.0.0.1:{settings.prometheus_port}"
    states = observe.pipelines(cluster, prometheus)
    print(f"\n{observe.table(states)}")
    for state in states:
        lines = observe.last_signals(cluster, state.namespace, state.name, 5) if state.ready else ""
        if lines:
            print(f"\nLast signals of {state.namespace}/{state.name}:\n{lines.rstrip()}")
    kubectl_link = link_programs(settings, cluster).relative_to(settings.repo) / "kubectl"
    print(
        f"\nKubernetes  export KUBECONFIG={cluster.kubeconfig}\n"
        f"            {kubectl_link} get stockpipelines --all-namespaces\n"
        f"API server  https://127.0.0.1:{settings.api_port}\n"
        f"Prometheus  {prometheus}"
    )


def settle(settings: Settings) -> None:
    """Wait until Prometheus has seen enough of the example for a rate (two scrapes)."""
    prometheus = f"http://127.0.0.1:{settings.prometheus_port}"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        figures = [
            observe.by_pipeline(prometheus, query)
            for query in (observe.TICK_RATE, observe.SIGNALS, observe.LAG)
        ]
        if all(EXAMPLE_KEY in figure for figure in figures):
            return
        time.sleep(0.5)
