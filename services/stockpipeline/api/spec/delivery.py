"""How signals are delivered, and over how many pods the work is spread."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from stockpipeline.api.base import ApiModel, Check
from stockpipeline.api.spec.texts import Duration, duration


class Guarantee(StrEnum):
    """What a reader of the signals can rely on after a failure."""

    EXACTLY_ONCE = "ExactlyOnce"
    AT_LEAST_ONCE = "AtLeastOnce"


class Delivery(ApiModel):
    """How the detector hands over what it finds."""

    guarantee: Guarantee = Guarantee.EXACTLY_ONCE
    """ExactlyOnce: signals, state and offsets are one Kafka transaction. AtLeastOnce: signals are there
    sooner, and may repeat (with the same id) after a failure."""

    commit_interval: Duration = "100ms"
    """Longest time between two commits while ticks come: less is sooner, more is cheaper. 10ms to 10s. A
    detector that is more than 10,000 ticks behind takes at least 1s, to catch up sooner. With AtLeastOnce no
    signal waits for a commit: 1s then costs less, and repeats up to 1s of signals after a failure."""

    checks = (
        Check(
            "self.commitInterval.matches('^([1-9][0-9]{1,3}ms|10000ms|[1-9]s|10s)$')",
            "delivery.commitInterval must be from 10ms to 10s, in ms or s",
            lambda delivery: (
                delivery.commit_interval.endswith("s")
                and 0.01 <= duration(delivery.commit_interval).total_seconds() <= 10
            ),
        ),
    )


class ProducerScaling(ApiModel):
    """Over how many pods the symbols are spread."""

    replicas: Annotated[int, Field(ge=1, le=64)] = 1
    """Producers; each sends a share of the symbols."""


class Autoscaling(ApiModel):
    """How many detectors run, by how far they are behind."""

    min_replicas: Annotated[int, Field(ge=1, le=64)] = 1
    """Fewest detectors."""

    max_replicas: Annotated[int, Field(ge=1, le=64)]
    """Most detectors; more than kafka.partitions have nothing to do."""

    lag_records: Annotated[int, Field(ge=1)] = 10_000
    """Ticks that wait for each detector, above which another one is started."""

    checks = (
        Check(
            "self.minReplicas <= self.maxReplicas",
            "autoscaling.minReplicas must not be more than autoscaling.maxReplicas",
            lambda one: one.min_replicas <= one.max_replicas,
        ),
    )


class DetectorScaling(ApiModel):
    """How many detectors share the partitions."""

    replicas: Annotated[int, Field(ge=1, le=64)] = 1
    """Detectors; not looked at where autoscaling is set."""

    autoscaling: Autoscaling | None = None
    """Let the number of detectors follow the lag."""


class Scaling(ApiModel):
    """Over how many pods the work is spread."""

    producer: ProducerScaling = ProducerScaling()
    """How many producers run."""

    detector: DetectorScaling = DetectorScaling()
    """How many detectors run."""
