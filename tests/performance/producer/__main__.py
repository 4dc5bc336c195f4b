"""Runs the benchmark; see the package."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from stockpipeline.market.calendar import SessionCalendar
from tests.integration.servers.kafka import running_broker
from tests.integration.servers.redis import running_server
from tests.integration.services.support import create_topic
from tests.performance.producer.decoding import chain_rate, decode_rate, review_cost
from tests.performance.producer.outage import PER_SECOND, outage_lost
from tests.performance.producer.replays import bare_produce, replay_rate
from tests.performance.producer.takeover import takeover_seconds
from tests.performance.report import Report

# The broker's disk is not what is measured: it keeps little.
_RETENTION = {"retention.bytes": str(64 << 20), "segment.bytes": str(16 << 20)}


def main() -> int:
    """Measure, print the table, write the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="small numbers: shows only that it runs")
    parser.add_argument(
        "--part", nargs=4, metavar=("PART", "BOOTSTRAP", "TOPIC", "COUNT"), help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    if arguments.part:
        return _part(*arguments.part)
    quick = arguments.quick
    report = Report("producer", quick=quick)
    calendar = SessionCalendar("XNAS")
    report.add("ws_decode_rate", decode_rate(calendar, 50_000 if quick else 500_000), "records/s")
    small = chain_rate(calendar, 500, 50_000 if quick else 500_000)
    report.add("chain_rate_500", small, "ticks/s", note="with reviews; 500 symbols")
    large = chain_rate(calendar, 4000, 50_000 if quick else 500_000)
    report.add("chain_rate_4000", large, "ticks/s", baseline="chain_rate_500", note="4,000 symbols")
    rounds = 20 if quick else 200
    few = review_cost(calendar, 500, rounds * 8)
    report.add("review_cost_500", few, "us/symbol", note="once a second; 500 symbols")
    many = review_cost(calendar, 4000, rounds)
    note = "4,000 symbols; a ratio of 1 is linear in symbols"
    report.add("review_cost_4000", many, "us/symbol", baseline="review_cost_500", note=note)
    with tempfile.TemporaryDirectory() as folder, running_broker(Path(folder)) as broker:
        create_topic(
            broker.bootstrap,
            *(NewTopic(name, 4, 1, config=_RETENTION) for name in ("bare", "replay", "long")),
            NewTopic("outage", 4, 1),
        )
        count = 200_000 if quick else 2_000_000
        bare = _measured("bare", broker.bootstrap, "bare", count)
        report.add(
            "bare_produce", bare["rate"], "ticks/s", note="encoded before, the same client and settings"
        )
        played = _measured("replay", broker.bootstrap, "replay", count)
        report.add(
            "replay_rate",
            played["rate"],
            "ticks/s",
            baseline="bare_produce",
            note=f"{played['cpu']:.2f} us of CPU a tick, the client's threads included",
        )
        long = _measured("replay", broker.bootstrap, "long", 1_000_000 if quick else 10_000_000)
        # The first tenths fill the client's queue and caches.
        growth = long["resident"][-1] - long["resident"][1]
        report.add("rss_growth_10m", growth, "MiB", note=f"at the end {long['resident'][-1]:.0f} MiB")
        seconds = 5 if quick else 60
        lost, offered = outage_lost(broker, "outage", seconds)
        note = f"of {offered:,} at {PER_SECOND:,}/s, broker killed for {seconds} s, order checked"
        report.add("outage_lost", lost, "ticks", note=note)
        with running_server(Path(folder)) as redis:
            took = takeover_seconds(broker.bootstrap, redis.url, Path(folder))
        report.add("takeover_seconds", took, "s", note="one of three producers killed; the goal is 10 s")
    report.finish()
    return 0


def _measured(part: str, bootstrap: str, topic: str, count: int) -> dict[str, Any]:
    """Measure a part in a process of its own, whose memory and threads are nobody else's."""
    command = [
        sys.executable,
        "-m",
        "tests.performance.producer",
        "--part",
        part,
        bootstrap,
        topic,
        str(count),
    ]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _part(part: str, bootstrap: str, topic: str, count: str) -> int:
    calendar = SessionCalendar("XNAS")
    if part == "bare":
        print(json.dumps({"rate": bare_produce(bootstrap, topic, calendar, int(count))}))
    else:
        rate, cpu, resident = replay_rate(bootstrap, topic, calendar, int(count))
        print(json.dumps({"rate": rate, "cpu": cpu, "resident": resident}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
