"""What publishing costs the writer's side with one replica and with twenty."""

from __future__ import annotations

import itertools
from pathlib import Path

from tests.performance.replica.children import PublisherChild, puller_child
from tests.performance.replica.days import MEASURED_DAYS, WARM_UP_DAYS
from tests.performance.replica.masters import commit, make, median
from tests.performance.report import Report

_REPLICAS = 20


def fan_out(report: Report, folder: Path, rows: int) -> None:
    """Compare the processor time of publications."""
    make(folder / "master.duckdb", rows)
    with PublisherChild(folder) as publisher:
        publisher.ask()
        costs = {}
        days = itertools.count(1)
        for count in (1, _REPLICAS):
            replicas = [f"replica-{number}" for number in range(count)]
            with puller_child(folder, replicas) as pullers:
                pullers.ask()
                spent = []
                for day in itertools.islice(days, WARM_UP_DAYS + MEASURED_DAYS):
                    commit(folder / "master.duckdb", day)
                    before = publisher.cpu_seconds()
                    publisher.ask()
                    spent.append(publisher.cpu_seconds() - before)
                    pullers.ask()
            costs[count] = median(spent[WARM_UP_DAYS:])
    report.add("publish_cpu_1_replica", costs[1], "s", note="processor time of a publication")
    report.add(
        f"publish_cpu_{_REPLICAS}_replicas",
        costs[_REPLICAS],
        "s",
        baseline="publish_cpu_1_replica",
        note="all of them pull every generation, each after it is published",
    )
