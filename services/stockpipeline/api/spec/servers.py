"""The Kafka and the Redis that a pipeline uses."""

from typing import Annotated

from pydantic import Field

from stockpipeline.api.base import ApiModel, Check, Matches
from stockpipeline.api.spec.texts import HOST


class Kafka(ApiModel):
    """The Kafka cluster that carries ticks and signals."""

    bootstrap_servers: (
        Annotated[
            str,
            Field(max_length=1024),
            Matches(
                rf"{HOST}:[0-9]{{1,5}}(,{HOST}:[0-9]{{1,5}})*",
                "kafka.bootstrapServers must be HOST:PORT, several separated by commas without spaces",
            ),
        ]
        | None
    ) = None
    """HOST:PORT of one or more brokers, separated by commas. Without it: the operator's default."""

    partitions: Annotated[int, Field(ge=1, le=64)] = 4
    """Partitions of each topic: the most detectors that can share the work. Cannot change later."""

    checks = (
        Check(
            "self.partitions == oldSelf.partitions",
            "kafka.partitions cannot change: symbols would move between partitions and lose their order; "
            "delete the pipeline and make it anew",
        ),
    )


class Redis(ApiModel):
    """The Redis server that keeps the history which indicators warm up from."""

    url: (
        Annotated[
            str,
            Field(max_length=512),
            Matches(
                rf"rediss?://{HOST}(:[0-9]{{1,5}})?(/[0-9]{{1,3}})?",
                "redis.url must be redis://HOST:PORT/DATABASE (rediss for TLS), without a user or password",
            ),
        ]
        | None
    ) = None
    """redis://HOST:PORT/DATABASE, or rediss:// for TLS. Without it: the operator's default."""
