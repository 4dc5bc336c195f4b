"""`stockpipeline action`: a split or dividend into the ticks topic, where the detector applies it once."""

import sys
import time

from stockpipeline.adapters.kafka_client import KafkaFatal
from stockpipeline.adapters.kafka_producer import KafkaProducer
from stockpipeline.api import PipelineConfig, Topic
from stockpipeline.market.action_record import encode_action
from stockpipeline.market.corporate_actions import CorporateAction
from stockpipeline.market.sessions import session_iso

PATIENCE_SECONDS = 20.0


def send(config: PipelineConfig, symbol: str, action: CorporateAction) -> int:
    """Send a record of a symbol's action and wait until Kafka has it; return the exit status.

    Sent before the first tick at the new terms, nothing is ever computed across the gap; sent later, the bars
    before that day are rescaled from then on.
    """
    topic = config.names.topic(Topic.TICKS)
    where = f"Kafka at {config.bootstrap_servers}"
    deadline = time.monotonic() + PATIENCE_SECONDS
    producer = KafkaProducer(config.bootstrap_servers, f"{config.names.prefix}.cli", topic)
    try:
        producer.send(symbol, encode_action(symbol, action), lambda: time.monotonic() < deadline)
        waiting = producer.flush(PATIENCE_SECONDS)
        producer.poll()
    except KafkaFatal as error:
        print(f"{where}: {error}", file=sys.stderr)
        return 1
    if waiting:
        print(f"{where} has not taken the record after {PATIENCE_SECONDS:.0f} s", file=sys.stderr)
        return 1
    day = session_iso(action.session)
    print(f"{symbol}: split {action.split:g}, dividend {action.dividend:g} on {day} is in {topic}")
    return 0
