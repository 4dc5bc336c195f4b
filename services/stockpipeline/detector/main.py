"""Wiring of the detector."""

import threading

import structlog
from prometheus_client import CollectorRegistry

from stockpipeline.adapters.history_redis import HistoryStore
from stockpipeline.adapters.kafka_client import KafkaFatal
from stockpipeline.adapters.kafka_consumer import GroupConsumer
from stockpipeline.adapters.kafka_early import EarlyProducer
from stockpipeline.adapters.kafka_reader import TopicReader
from stockpipeline.adapters.kafka_topics import TopicCatalog, wait_for_topics
from stockpipeline.adapters.kafka_transactions import TransactionalProducer
from stockpipeline.api import Guarantee, PipelineConfig, Topic, duration
from stockpipeline.detector import collector
from stockpipeline.detector.assignment import Assignment
from stockpipeline.detector.closing import LiveClosing, NoClosing
from stockpipeline.detector.delivery import Delivery
from stockpipeline.detector.early_signals import EarlySignals
from stockpipeline.detector.history_watch import HistoryWatch
from stockpipeline.detector.intake import Intake
from stockpipeline.detector.judging import detector_of, performance_of
from stockpipeline.detector.loop import DetectorLoop
from stockpipeline.detector.report import Report
from stockpipeline.detector.restore import Restorer
from stockpipeline.detector.schedule import CommitSchedule
from stockpipeline.detector.state_writer import StateWriter
from stockpipeline.detector.transaction import Transaction
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.http import StatusServer
from stockpipeline.runtime.metrics import DetectorMetrics, new_registry
from stockpipeline.runtime.settings import instance_name
from stockpipeline.runtime.shutdown import Shutdown
from stockpipeline.signals.detector import Detector
from stockpipeline.signals.fastpath import FastPath

_TOPICS = (Topic.TICKS, Topic.SIGNALS, Topic.PERFORMANCE, Topic.STATE, Topic.DEAD_LETTER)
_log = structlog.get_logger()


def run(config: PipelineConfig, shutdown: Shutdown) -> int:
    """Detect until told to stop; return the process's exit status.

    Raises:
        IndicatorError, RuleError: an indicator or a rule of the configuration cannot be computed.
    """
    # What was imported stays.
    collector.settle()
    # First of all, because it is what a person can get wrong.
    calendar = SessionCalendar(config.spec.universe.exchange)
    detector = detector_of(config, calendar)
    readiness = Readiness(["kafka", "assignment", "state"])
    heartbeat = Heartbeat()
    registry = new_registry()
    metrics = DetectorMetrics(registry, config.name)
    server = StatusServer(registry, readiness, heartbeat)
    server.start()
    try:
        _detect(config, detector, calendar, registry, metrics, readiness, heartbeat, shutdown)
    except KafkaFatal as error:
        _log.error("the detector cannot go on and ends", why=str(error))
        return 1
    finally:
        server.stop()
    _log.info("stopped")
    return 0


def _detect(
    config: PipelineConfig,
    detector: Detector,
    calendar: SessionCalendar,
    registry: CollectorRegistry,
    metrics: DetectorMetrics,
    readiness: Readiness,
    heartbeat: Heartbeat,
    shutdown: Shutdown,
) -> None:
    names, servers = config.names, config.bootstrap_servers
    instance = f"{names.consumer_group}.{instance_name()}"
    ended = threading.Event()

    def wait(seconds: float) -> bool:
        heartbeat.beat()
        return shutdown.wait(seconds)

    def keep_waiting() -> bool:
        heartbeat.beat()
        # Callbacks tell whether a broker is connected.
        producer.poll()
        report.connection()
        return shutdown.remaining_seconds() > 0

    def keep_committing() -> bool:
        return not ended.is_set() and shutdown.remaining_seconds() > 0

    def open_state() -> TopicReader:
        return TopicReader(servers, instance, names.topic(Topic.STATE))

    topics = [names.topic(topic) for topic in _TOPICS]
    partitions = wait_for_topics(TopicCatalog(servers, instance), topics, readiness, wait)
    if partitions is None:
        return
    consumer = GroupConsumer(servers, instance, names.consumer_group, names.topic(Topic.TICKS), partitions)
    producer = TransactionalProducer(servers, instance, instance)
    connections = [consumer.connection, producer.connection]
    history = HistoryStore(config.redis_url, names)
    watch = HistoryWatch(history)
    assignment = Assignment(config.spec.universe.symbols, partitions)
    performance = performance_of(
        config, detector, producer, assignment, calendar, registry, instance, keep_waiting
    )
    state = StateWriter(
        producer,
        names.topic(Topic.STATE),
        detector.changes,
        assignment.partition_of,
        keep_waiting,
        performance,
    )
    schedule = CommitSchedule(duration(config.spec.delivery.commit_interval).total_seconds())
    delivery: Delivery
    if config.spec.delivery.guarantee is Guarantee.EXACTLY_ONCE:
        delivery = Transaction(producer, consumer, names, metrics, state, schedule, keep_waiting)
    else:
        early = EarlyProducer(servers, instance)
        connections.append(early.connection)
        delivery = EarlySignals(
            early, producer, consumer, names, metrics, state, schedule, keep_waiting, keep_committing
        )
    fast = FastPath(detector, assignment.partition_of)
    report = Report(
        consumer,
        connections,
        assignment,
        lambda symbol: detector.readiness(symbol).ready,
        detector.last_session,
        calendar,
        metrics,
        readiness,
    )
    loop = DetectorLoop(
        consumer,
        delivery,
        Restorer(consumer, open_state, history, detector, assignment, performance, keep_waiting, watch),
        assignment,
        detector,
        Intake(detector, fast, delivery, assignment.partition_of, metrics),
        performance,
        report,
        metrics,
        readiness,
        heartbeat,
        shutdown,
        # Time of a replay is that of its ticks.
        NoClosing()
        if any(source.replay for source in config.spec.sources)
        else LiveClosing(detector, assignment),
    )
    producer.init(keep_waiting)
    watch.start()
    try:
        loop.run()
    finally:
        watch.close()
        ended.set()
        performance.close()
        history.close()
