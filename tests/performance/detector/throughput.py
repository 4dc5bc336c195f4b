"""Ticks per second of whole jobs: each contender reads the same ticks from the same topic."""

from __future__ import annotations

import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from cluster.progress import Progress
from stockpipeline.api import PipelineConfig, Topic
from tests.performance.detector import workload
from tests.performance.detector.contenders.gate import Gate
from tests.performance.detector.contenders.job import Job
from tests.performance.detector.servers import ContenderFailed, Servers, result

PARTITIONS = 8
SYMBOLS = 500
AT_LEAST_ONCE = {"delivery": {"guarantee": "AtLeastOnce"}}
MANY = {
    **AT_LEAST_ONCE,
    "indicators": [{"name": name, "function": function} for name, function in workload.TWENTY],
}


class Rate(NamedTuple):
    """Ticks per second."""

    wall: float
    cpu: float
    """Of the seconds in which the contender, not the broker or another program, had a processor."""


def _rate(found: Sequence[Mapping[str, float]]) -> Rate:
    ticks = sum(one["ticks"] for one in found)
    wall = max(one["last"] for one in found) - min(one["first"] for one in found)
    return Rate(ticks / wall, ticks / sum(one["cpu"] for one in found))


@dataclass
class Throughput:
    """Runs contenders in rounds and keeps their rates."""

    servers: Servers
    ticks: int
    progress: Progress
    rates: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    per_cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _runs: int = 0

    def prepare(self) -> None:
        """Make the topics and fill the one with ticks."""
        config = self._config({})
        self.servers.create(config)
        self.servers.create_topic("bench.others.signals", PARTITIONS)
        with self.progress.step(f"{self.ticks:,} ticks of {SYMBOLS} symbols into {PARTITIONS} partitions"):
            self.servers.fill(config.names.topic(Topic.TICKS), workload.one_day(SYMBOLS, self.ticks))
        bars = {
            symbol: [[bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in series]
            for symbol, series in workload.history(SYMBOLS).items()
        }
        (self.servers.folder / "history.json").write_text(json.dumps(bars))

    def run(self, name: str, measure: Callable[[], Rate]) -> None:
        """Measure once and keep the rate."""
        with self.progress.step(f"{name}, round {len(self.rates[name]) + 1}"):
            rate = measure()
            self.progress.note(f"{rate.wall:,.0f} ticks/s, {rate.cpu:,.0f} a CPU second")
        self.rates[name].append(rate.wall)
        self.per_cpu[name].append(rate.cpu)

    def median(self, name: str) -> float:
        """The median of the rounds."""
        return statistics.median(self.rates[name])

    def median_per_cpu(self, name: str) -> float:
        """The median of the ticks for each second that the contender had a processor."""
        return statistics.median(self.per_cpu[name])

    def other(self, contender: str, ticks: int | None = None) -> Rate:
        """Run one of the others over all ticks, or so many."""
        job = self._job(ticks or self.ticks)
        return _rate([result(self.servers.start(contender, job), 900)])

    def shared_consume_decode(self, processes: int) -> Rate:
        """Read and decode all ticks in so many processes, which begin together; return their joint rate."""
        gate = self._gate()
        jobs = [
            replace(self._job(self.ticks), gate=gate.path, group=f"s{n}", share=n, shares=processes)
            for n in range(processes)
        ]
        running = [self.servers.start("consume_decode", job, job.group) for job in jobs]
        try:
            self._await(lambda: all(gate.here(job.group).given for job in jobs))
            gate.open.give()
            return _rate([result(one, 300) for one in running])
        finally:
            for one in running:
                one.kill()

    def detector(self, spec: Mapping[str, object], processes: int = 1) -> Rate:
        """Run the detector over all ticks in so many processes; return their rate together.

        Time counts from when the partitions may be read to the last tick: each process has restored its own
        before any begins.
        """
        config = self._config(spec)
        self.servers.forget(config)
        pipeline = self.servers.folder / "pipeline.json"
        pipeline.write_text(config.to_json())
        gate = self._gate()
        jobs = [
            replace(
                self._job(self.ticks), config=str(pipeline), gate=gate.path, group=f"p{n}", shares=processes
            )
            for n in range(processes)
        ]
        running = [self.servers.start("detector", job, f"p{n}") for n, job in enumerate(jobs)]
        try:
            self._await(lambda: all(gate.here(job.group).given for job in jobs))
            # The group has told all of them by now; the last one may have joined just before.
            time.sleep(1.0 if processes == 1 else 5.0)
            gate.open.give()
            if processes > 1:
                self._await(lambda: all(gate.ready(job.group).given for job in jobs))
                gate.all_ready.give()
                self._await(lambda: self._committed(config) >= self.ticks)
                gate.over.give()
            found = [result(one, 300) for one in running]
        finally:
            for one in running:
                one.kill()
        shares = [one for one in found if one["ticks"]]
        total = sum(one["ticks"] for one in shares)
        if total < self.ticks or len(shares) < processes:
            raise ContenderFailed(f"{processes} detectors took {[one['ticks'] for one in found]} ticks")
        return _rate(shares)

    def _gate(self) -> Gate:
        return Gate(str(self.servers.folder / f"gate-{self._runs}"))

    def _config(self, spec: Mapping[str, object]) -> PipelineConfig:
        return workload.pipeline(
            "throughput", self.servers.kafka, self.servers.redis, SYMBOLS, PARTITIONS, **spec
        )

    def _job(self, ticks: int) -> Job:
        self._runs += 1
        return Job(
            kafka=self.servers.kafka,
            topic="bench.throughput.ticks",
            output="bench.others.signals",
            group=f"bench-{self._runs}",
            ticks=ticks,
            history=str(self.servers.folder / "history.json"),
        )

    def _committed(self, config: PipelineConfig) -> int:
        from confluent_kafka import ConsumerGroupTopicPartitions

        group = config.names.consumer_group
        answer = self.servers.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
        places = answer[group].result(30).topic_partitions or []
        return sum(max(0, place.offset) for place in places)

    def _await(self, condition: Callable[[], bool], seconds: float = 300) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise ContenderFailed(f"not within {seconds} s")
            time.sleep(0.1)
