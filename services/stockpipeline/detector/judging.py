"""Wiring of the performance of signals, for pipelines that ask for it."""

from prometheus_client import CollectorRegistry

from stockpipeline.adapters.kafka_reader import TopicReader
from stockpipeline.adapters.kafka_transactions import KeepWaiting, TransactionalProducer
from stockpipeline.adapters.performance_redis import PerformanceView
from stockpipeline.api import PipelineConfig, Topic
from stockpipeline.detector.assignment import Assignment
from stockpipeline.detector.benchmark_feed import BenchmarkFeed
from stockpipeline.detector.live_view import LiveView
from stockpipeline.detector.performance import NOT_JUDGED, JudgedSignals, Performance
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.runtime.metrics import PerformanceMetrics
from stockpipeline.signals.detector import Detector
from stockpipeline.signals.judged import JudgedDetector
from stockpipeline.signals.performance.judge import measures_of


def detector_of(config: PipelineConfig, calendar: SessionCalendar) -> Detector:
    """Return the core of the pipeline's detector.

    Raises:
        IndicatorError, RuleError: an indicator or a rule of the configuration cannot be computed.
    """
    name, spec = f"{config.namespace}/{config.name}", config.spec
    minutes = spec.bars.interval.minutes
    if spec.performance is None:
        return Detector(name, spec.indicators, spec.rules, calendar, minutes)
    measures = measures_of(spec.performance)
    return JudgedDetector(
        name, spec.indicators, spec.rules, calendar, measures, own_benchmark=False, minutes=minutes
    )


def performance_of(
    config: PipelineConfig,
    detector: Detector,
    producer: TransactionalProducer,
    assignment: Assignment,
    calendar: SessionCalendar,
    registry: CollectorRegistry,
    client_id: str,
    keep_waiting: KeepWaiting,
) -> Performance:
    """Return what brings the performance of the detector's signals out."""
    if not isinstance(detector, JudgedDetector):
        return NOT_JUDGED
    names = config.names

    def reader(topic: Topic) -> TopicReader:
        return TopicReader(config.bootstrap_servers, f"{client_id}.performance", names.topic(topic))

    benchmark, feed = detector.benchmark, None
    if benchmark is not None:
        partition = assignment.partition_of[benchmark]
        feed = BenchmarkFeed(lambda: reader(Topic.TICKS), partition, benchmark, detector, calendar)
    return JudgedSignals(
        producer,
        names.topic(Topic.PERFORMANCE),
        lambda: reader(Topic.PERFORMANCE),
        detector,
        assignment,
        feed,
        LiveView(PerformanceView(config.redis_url, names)),
        PerformanceMetrics(registry, config.name),
        keep_waiting,
    )
