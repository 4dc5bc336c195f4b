"""Runs the phases of the benchmark and reports them."""

from __future__ import annotations

import argparse
import signal
import statistics
import time
from collections import Counter

from cluster.progress import Progress
from cluster.shell import terminate
from tests.performance.operator import workload
from tests.performance.operator.bench_cluster import BenchCluster, bench_cluster, wait_for_queue
from tests.performance.report import Report

# Flux 2.6 on kind with 2 CPUs, as its project has published them: HelmReleases, and Kustomizations, which are
# applied server-side without a release.
FLUX = {
    100: "Flux 2.6: 27 s as HelmReleases, 28 s as Kustomizations",
    500: "Flux 2.6: 165 s as HelmReleases, 122 s as Kustomizations",
    1000: "Flux 2.6: 492 s as HelmReleases, 256 s as Kustomizations",
}
FLUX_MEMORY = "Flux 2.6: 400 MiB as HelmReleases, 175 MiB as Kustomizations"
SIZES, QUICK_SIZES = (100, 500, 1000), (20,)
IDLE_SECONDS, QUICK_IDLE_SECONDS = 600.0, 20.0
CHANGE_EVERY = 0.2
WORKERS = 4


def main() -> int:
    """Measure; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few pipelines and a short idle time")
    parser.add_argument(
        "--sizes", type=int, nargs="+", help="how many pipelines; the default is the contract"
    )
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, terminate)
    sizes = tuple(chosen.sizes or (QUICK_SIZES if chosen.quick else SIZES))
    idle = QUICK_IDLE_SECONDS if chosen.quick else IDLE_SECONDS
    report, progress = Report("operator", quick=chosen.quick or sizes != SIZES), Progress()
    for size in sizes:
        with bench_cluster(WORKERS, progress) as cluster:
            converge(cluster, size, report, progress)
            if size == sizes[0]:
                changes(cluster, size, report, progress)
            if size == sizes[-1]:
                restart(cluster, size, report, progress)
                idleness(cluster, idle, report, progress)
    report.finish()
    return 0


def converge(cluster: BenchCluster, size: int, report: Report, progress: Progress) -> None:
    """Apply pipelines at once and wait until all are ready."""
    workload.make_namespaces(cluster.client)
    mark, used = cluster.audit.mark(), cluster.processor_seconds()
    with progress.step(f"{size} pipelines, all at once"):
        started = time.monotonic()
        workload.create(cluster.client, workload.keys(size))
        workload.wait_until_ready(cluster.client, size, 30 + 2 * size, progress.note)
        took = time.monotonic() - started
    used = cluster.processor_seconds() - used
    requests = cluster.requests(mark)
    writes = sum(one.writes for one in requests)
    for (verb, resource), count in Counter((one.verb, one.resource) for one in requests).most_common(12):
        progress.note(f"{count / size:6.2f} {verb} {resource} per pipeline")
    smallest = report.rows[0].name if report.rows else None
    report.add(f"converge_{size}", took, "s", baseline=smallest, note=FLUX.get(size, ""))
    report.add(
        f"requests_{size}", len(requests) / size, "per pipeline", note=f"{writes / size:.1f} of them writes"
    )
    report.add(f"cpu_{size}", used, "s", note="processor time of the operator, which may use one core")
    report.add(f"rss_{size}", cluster.peak_memory(), "MiB", note=FLUX_MEMORY if size == 1000 else "")


def changes(cluster: BenchCluster, size: int, report: Report, progress: Progress) -> None:
    """Change one pipeline after the other, and see how long each change takes to be applied."""
    with progress.step(f"A change of each of {size}"):
        seconds = []
        for number, key in enumerate(workload.keys(size)):
            seconds.append(workload.change(cluster.client, key, number))
            time.sleep(CHANGE_EVERY)
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    report.add(f"apply_p50_{size}", cuts[9], "s", note="from the change of a spec to its status")
    report.add(f"apply_p95_{size}", cuts[18], "s")


def restart(cluster: BenchCluster, size: int, report: Report, progress: Progress) -> None:
    """Restart the operator and wait until it has looked at every pipeline."""
    with progress.step("Until Kubernetes' controllers are done with the Deployments"):
        workload.wait_until_still(cluster.client, 60 + size)
    mark = cluster.audit.mark()
    with progress.step(f"Restart with {size} pipelines"):
        started = cluster.restart()
        wait_for_queue(cluster, size, 30 + size)
        took = time.monotonic() - started
    writes = [one for one in cluster.requests(mark) if one.writes and not one.renews_the_lease]
    report.add(f"restart_{size}", took, "s", note="until each has been looked at")
    report.add(f"restart_writes_{size}", len(writes), "requests", note="but for the Lease")


def idleness(cluster: BenchCluster, seconds: float, report: Report, progress: Progress) -> None:
    """Let the operator idle and count its writes."""
    mark = cluster.audit.mark()
    with progress.step(f"{seconds:.0f} s in which nobody changes anything"):
        time.sleep(seconds)
    requests = cluster.requests(mark)
    writes = [one for one in requests if one.writes and not one.renews_the_lease]
    per_hour = 3600 / seconds
    report.add(
        "idle_writes", len(writes) * per_hour, "per hour", note="from the audit log, but for the Lease"
    )
    reads = sum(not one.writes for one in requests)
    report.add("idle_reads", reads * per_hour, "per hour")


if __name__ == "__main__":
    raise SystemExit(main())
