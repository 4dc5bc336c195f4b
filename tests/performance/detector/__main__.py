"""Runs everything and reports."""

from __future__ import annotations

import argparse
import signal
from functools import partial

from cluster.progress import Progress
from cluster.settings import Settings
from cluster.shell import terminate
from stockpipeline.api import Guarantee
from tests.performance import detector_engine
from tests.performance.detector.latency import p99_ms
from tests.performance.detector.servers import running
from tests.performance.detector.start_up import start_up
from tests.performance.detector.throughput import AT_LEAST_ONCE, MANY, Throughput
from tests.performance.report import Report

TICKS, QUICK_TICKS = 1_000_000, 100_000
PANDAS_TICKS, QUICK_PANDAS_TICKS = 2_000, 200
ROUNDS, QUICK_ROUNDS = 3, 1
WARM_UP_RATE = 10_000
LATENCY_SECONDS, QUICK_LATENCY_SECONDS = 20.0, 4.0
LARGE_UNIVERSE = 4000


def main() -> int:
    """Measure; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer ticks, one round")
    quick = parser.parse_args().quick
    signal.signal(signal.SIGTERM, terminate)
    report, progress = Report("detector", quick=quick), Progress()
    with running(Settings.from_environment()) as servers:
        seconds = QUICK_LATENCY_SECONDS if quick else LATENCY_SECONDS
        # Delays come first, after one that does not count: the broker's compilers need minutes for what it
        # does for detectors, which also write. Delays are shorter then, and runs for throughput, which take
        # seconds, have the processors for themselves.
        if not quick:
            p99_ms(servers, Guarantee.AT_LEAST_ONCE, WARM_UP_RATE, 5.0, progress)
        for name, guarantee, rate, contender, baseline in (
            ("p99_ms_2k_echo", Guarantee.AT_LEAST_ONCE, 2_000, "echo", None),
            ("p99_ms_2k", Guarantee.AT_LEAST_ONCE, 2_000, "detector", "p99_ms_2k_echo"),
            ("p99_ms_20k_echo", Guarantee.AT_LEAST_ONCE, 20_000, "echo", None),
            ("p99_ms_20k", Guarantee.AT_LEAST_ONCE, 20_000, "detector", "p99_ms_20k_echo"),
            ("p99_ms_exactly_once", Guarantee.EXACTLY_ONCE, 2_000, "detector", None),
        ):
            median, high = p99_ms(servers, guarantee, rate, seconds, progress, contender)
            what = guarantee if contender == "detector" else "read, decode, answer"
            note = f"{what}, from sending a tick to reading its signal; median {median:.1f} ms"
            report.add(name, high, "ms", baseline=baseline, note=note)
        throughput = Throughput(servers, QUICK_TICKS if quick else TICKS, progress)
        measure_throughput(throughput, quick)
        report_throughput(throughput, report)
        took, memory = start_up(servers, LARGE_UNIVERSE, progress)
        note = f"{LARGE_UNIVERSE:,} symbols of 250 bars"
        report.add("rss_4000", memory, "MiB", note=note)
        report.add("warm_start_4000", took, "s", note=f"{note}, from the start of the process to ready")
    detector_engine.measure(report, quick=quick)
    report.finish()
    return 0


def measure_throughput(throughput: Throughput, quick: bool) -> None:
    """Run the contenders in turns, so that what slows the machine down slows all of them."""
    throughput.prepare()
    for _ in range(QUICK_ROUNDS if quick else ROUNDS):
        throughput.run("consume_decode", partial(throughput.other, "consume_decode"))
        throughput.run("broker_default", partial(throughput.detector, AT_LEAST_ONCE))
        throughput.run("exactly_once", partial(throughput.detector, {}))
        throughput.run("broker_20_indicators", partial(throughput.detector, MANY))
        throughput.run("two_processes", partial(throughput.detector, AT_LEAST_ONCE, 2))
        throughput.run("two_consume_decode", partial(throughput.shared_consume_decode, 2))
        throughput.run("quix", partial(throughput.other, "quix"))
    throughput.run("talipp", partial(throughput.other, "talipp_update"))
    few = QUICK_PANDAS_TICKS if quick else PANDAS_TICKS
    throughput.run("pandas", partial(throughput.other, "pandas_rebuilt", few))


def report_throughput(throughput: Throughput, report: Report) -> None:
    """Add the rates."""
    rows = (
        ("consume_decode", None, "read and decode only: the limit of one Python object a tick"),
        ("pandas", "consume_decode", "the replaced system's way; the first ticks only, it is that slow"),
        ("talipp", "consume_decode", "poll, json, talipp"),
        ("quix", "consume_decode", "Quix Streams, TA-Lib's handles in memory"),
        ("broker_default", "consume_decode", "default indicators and rules, at least once"),
        ("broker_20_indicators", "consume_decode", "20 indicators, at least once"),
        ("exactly_once", "broker_default", "the default guarantee; a commit each second, as all of it waits"),
        ("two_processes", "broker_default", "two processes share the partitions"),
        (
            "two_consume_decode",
            "consume_decode",
            "two that only read and decode: what the machine lets two be",
        ),
    )
    for name, baseline, note in rows:
        note += f"; {throughput.median_per_cpu(name):,.0f} a CPU second"
        report.add(name, throughput.median(name), "ticks/s", baseline=baseline, note=note)
    rate = throughput.median("broker_default")
    report.add("broker_default_vs_quix", rate, "ticks/s", baseline="quix", note="the same as broker_default")


if __name__ == "__main__":
    raise SystemExit(main())
