"""Makes the pipeline's Kafka topics, and takes them away again."""

from stockpipeline_operator.kafka_topics import KafkaFailure
from stockpipeline_operator.reconcile.endpoints import kafka_servers
from stockpipeline_operator.reconcile.state import Cleanup
from stockpipeline_operator.reconcile.work import Work


def create(work: Work) -> None:
    """Create the topics that are missing."""
    pipeline, missing = work.pipeline, work.observed.topics.missing
    assert pipeline.config is not None
    work.tools.kafka.create(pipeline.kafka, pipeline.names, missing, pipeline.config.spec.kafka.partitions)
    work.tools.events.record(pipeline, "Normal", "TopicsCreated", f"created {', '.join(missing)}")


def clean(work: Work) -> None:
    """Delete topics and consumer group wherever they were made; after the deadline, say what is left behind.

    A Kafka that does not answer does not keep the others from being cleaned.
    """
    pipeline = work.pipeline
    failures = []
    for servers in kafka_servers(pipeline):
        try:
            work.tools.kafka.delete(servers, pipeline.names)
        except KafkaFailure as error:
            failures.append(error)
    if failures and not work.desired.give_up:
        raise type(failures[0])("; ".join(map(str, failures)))
    for failure in failures:
        note = (
            f"{failure}; gave up: the topics {pipeline.names.prefix}.* and the consumer group "
            f"{pipeline.names.consumer_group} may be left behind"
        )
        work.tools.events.record(pipeline, "Warning", "KafkaNotCleaned", note)
    work.cleaned |= {Cleanup.KAFKA}
