"""`stockpipeline performance`: what the signals of a running pipeline have earned, by rule and horizon."""

import sys
import time
from contextlib import closing
from typing import TextIO

from stockpipeline.adapters.kafka_client import KafkaUnavailable
from stockpipeline.adapters.kafka_reader import TopicReader
from stockpipeline.api import Performance as PerformanceSpec
from stockpipeline.api import PipelineConfig, Topic
from stockpipeline.cli import performance_report
from stockpipeline.signals.performance.judge import measures_of
from stockpipeline.signals.performance.record import Performance, decode_performance

_PATIENCE_SECONDS = 60.0


def show(config: PipelineConfig, *, as_json: bool, out: TextIO) -> int:
    """Print the figures of all signals in the pipeline's topic; return the exit status."""
    try:
        records = committed_performance(config)
    except KafkaUnavailable as error:
        print(f"Kafka at {config.bootstrap_servers}: {error}", file=sys.stderr)
        return 1
    measures = measures_of(config.spec.performance or PerformanceSpec())
    report = performance_report.report(f"{config.namespace}/{config.name}", measures, records)
    if as_json:
        print(performance_report.encode(report).decode(), end="", file=out)
    else:
        print(*performance_report.lines(report), sep="\n", file=out)
    return 0


def committed_performance(config: PipelineConfig) -> list[Performance]:
    """Return the newest committed performance of each signal.

    Raises:
        KafkaUnavailable: no broker answered in time, or the topic does not exist.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    topic = config.names.topic(Topic.PERFORMANCE)
    newest: dict[str, Performance] = {}
    with closing(TopicReader(config.bootstrap_servers, f"{config.names.prefix}.cli", topic)) as reader:
        ranges = {partition: reader.range(partition) for partition in reader.partitions()}
        for message in reader.read(ranges, lambda: time.monotonic() < deadline):
            value = message.value()
            if value is not None:
                record = decode_performance(value)
                newest[record.id] = record
    return list(newest.values())
