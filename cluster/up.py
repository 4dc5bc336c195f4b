"""`make up`: from whatever is there to a cluster with live signals."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from cluster import demo, deploy, environment, imagebuild, ports, prerequisites, usage
from cluster.backend import Cluster
from cluster.embedded.locked import locked
from cluster.embedded.node import EmbeddedNode
from cluster.embedded.packages import DEBIAN_PACKAGES as NODE_PACKAGES
from cluster.imagebuild.recipes import USUAL
from cluster.kind import KindCluster
from cluster.progress import Progress
from cluster.settings import Settings


def cluster_of(settings: Settings) -> Cluster:
    """Return the cluster that the settings name."""
    return KindCluster(settings) if settings.kind == "kind" else EmbeddedNode(settings)


def up(settings: Settings, progress: Progress) -> None:
    """Bring up cluster, backends, operator and example; what is there already is left as it is."""
    prerequisites.check(settings)
    with exclusive(settings):
        settings.check_kind()
        cluster = cluster_of(settings)
        ports.check(settings, cluster)
        packages = (*imagebuild.DEBIAN_PACKAGES, *(NODE_PACKAGES if settings.kind == "node" else ()))
        prerequisites.install(packages, progress)
        settings.remember()
        images = _cluster_and_images(settings, cluster, progress)
        cluster.expose(settings.prometheus_port, deploy.PROMETHEUS_NODE_PORT)
        with deploy.ImageLoading(cluster, images) as loading:
            with progress.step("Load the images into the cluster"):
                loading.wait_for(*deploy.SERVERS, "airflow")
            deploy.product(settings, cluster, images, progress)
            loading.wait_for("services", "spark")
        deploy.example(settings, cluster, progress)
        if settings.source == "kis-demo":
            demo.kis_demo(settings, cluster, images, progress)
        deploy.settle(settings)
    deploy.summary(settings, cluster)


def _cluster_and_images(
    settings: Settings, cluster: Cluster, progress: Progress
) -> Mapping[str, imagebuild.Image]:
    """Build the images while the cluster is built and booted: one downloads while the other compiles."""

    def images() -> Mapping[str, imagebuild.Image]:
        environment.ensure(settings, progress)
        asked = {"airflow": settings.airflow, "spark": settings.spark}
        names = (*USUAL, *(name for name, wanted in asked.items() if wanted))
        return {image.name: image for image in imagebuild.build_all(settings, progress, names)}

    with ThreadPoolExecutor(max_workers=1) as pool:
        built = pool.submit(images)
        cluster.up(progress)
        return built.result()


def status(settings: Settings) -> int:
    """Print the table of pipelines; return 1 where the cluster does not run."""
    cluster = cluster_of(settings)
    if not cluster.running():
        print(f"The cluster {settings.name} is not running. Start it with `make up`.")
        return 1
    deploy.summary(settings, cluster)
    return 0


def show_usage(settings: Settings, seconds: float) -> int:
    """Print what the embedded cluster uses over some seconds; return 1 where it does not run."""
    node = EmbeddedNode(settings)
    if settings.kind != "node" or not node.running():
        print(f"The embedded cluster {settings.name} is not running. Start it with `make up CLUSTER=node`.")
        return 1
    used = usage.measure(node.pids(), seconds)
    print(
        f"{settings.name}: {used.processes} processes, {used.memory / 2**30:.2f} GiB of memory, "
        f"{used.cores:.2f} cores over {seconds:.0f} s"
    )
    return 0


def down(settings: Settings, progress: Progress) -> None:
    """Remove the cluster; the caches stay, so that the next `make up` is quick."""
    with exclusive(settings):
        settings.check_kind()
        cluster_of(settings).down(progress)


def exclusive(settings: Settings) -> AbstractContextManager[None]:
    """Let one `up` or `down` of a cluster at a time do its work; a second one waits."""
    lock = settings.run.with_name(f"{settings.name}.command.lock")
    return locked(lock, f"waiting for another make up/down of {settings.name}")
