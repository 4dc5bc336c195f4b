"""What every producer has, whatever its source: the configuration, health, metrics, and the way it ends."""

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from stockpipeline.adapters.kafka_topics import TopicCatalog, wait_for_topics
from stockpipeline.api import PipelineConfig, Topic
from stockpipeline.producer.share.beats import Beats
from stockpipeline.producer.share.units import Units
from stockpipeline.runtime.health import Heartbeat, Readiness
from stockpipeline.runtime.metrics import ProducerMetrics
from stockpipeline.runtime.settings import instance_name
from stockpipeline.runtime.shutdown import Shutdown


@dataclass(frozen=True)
class Frame:
    """The parts that all producers share."""

    config: PipelineConfig
    shutdown: Shutdown
    registry: CollectorRegistry
    readiness: Readiness
    metrics: ProducerMetrics
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    shared: bool = False
    """Whether there are other producers of this pipeline, with which the symbols are shared."""

    @property
    def client_id(self) -> str:
        """How this instance calls itself in Kafka."""
        return f"{self.config.names.prefix}.producer.{instance_name()}"

    def beats(self, which: Units) -> Beats:
        """This producer's part in a shared pipeline; to be entered."""
        names = self.config.names
        return Beats(self.config.redis_url, names.producers_key, instance_name(), which, self.readiness)

    def wait_for_topics(self, *topics: Topic) -> bool:
        """Wait until the topics are there; return False if told to stop before."""
        catalog = TopicCatalog(self.config.bootstrap_servers, self.client_id)
        names = [self.config.names.topic(topic) for topic in topics]
        return wait_for_topics(catalog, names, self.readiness, self.wait) is not None

    def wait(self, seconds: float) -> bool:
        """Wait, and show that the process lives; return whether it was told to stop."""
        self.heartbeat.beat()
        return self.shutdown.wait(seconds)

    def keep_waiting(self) -> bool:
        """Show that the process lives; return whether it may go on."""
        self.heartbeat.beat()
        return not self.shutdown.requested
