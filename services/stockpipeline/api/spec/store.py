"""What keeps and shows the results: the DuckDB master, its replicas, the console."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from stockpipeline.api.base import ApiModel, Check, Matches
from stockpipeline.api.spec.texts import HOST, Duration, ObjectName, SecretReference
from stockpipeline.api.spec.workloads import Quantity, Workload

Days = Annotated[
    str,
    Field(min_length=2, max_length=6),
    Matches(r"[1-9][0-9]{0,4}d", "a number of days is written like 365d"),
]


class History(ApiModel):
    """For how long rows stay in the master, by table. Without a value: for ever.

    Age counts from the newest row of the table, so what a replay of past years brought stays.
    """

    bars: Days | None = None
    """Daily bars. Detectors want 250 sessions of a symbol, and the batch the years that it computes over."""

    indicators: Days | None = None
    """Values of indicators."""

    signals: Days | None = None
    """Signals, by the time at which they came up."""

    performance: Days | None = None
    """What signals have earned, by the time at which that was recorded."""


class Store(Workload):
    """The DuckDB master: bars, indicators, watchlist, signals and performance."""

    size: Quantity = "10Gi"
    """Size of its volume. Cannot change later."""

    storage_class_name: ObjectName | None = None
    """StorageClass of its volume. Without it: the cluster's default. Cannot change later."""

    history: History = History()
    """How long rows stay in the master."""

    checks = (
        Check(
            "self.size == oldSelf.size && has(self.storageClassName) == has(oldSelf.storageClassName) && "
            "(!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
            "store.size and store.storageClassName cannot change: the volume has been made",
        ),
    )


class Retention(ApiModel):
    """How long generations can be restored."""

    all: Duration = "48h"
    """Time for which every generation is kept."""

    daily: Annotated[int, Field(ge=0, le=3650)] = 35
    """Days for which the last generation of a day is kept."""

    monthly: Annotated[int, Field(ge=0, le=120)] = 12
    """Months for which the last generation of a month is kept."""


class ReplicaSchedule(ApiModel):
    """How often something new is published, and how often replicas look for it and check what they have."""

    publish: Duration = "5s"
    """Time for which signals and performance are gathered into one commit and generation of the store."""

    pull: Duration = "5s"
    """Time between two looks for a new generation."""

    scrub: Duration = "24h"
    """Time in which every block is read and verified once."""


class Placement(StrEnum):
    """On which nodes replicas run."""

    SPREAD = "Spread"
    ANYWHERE = "Anywhere"


class ReplicaSync(Workload):
    """Read-only copies of the store, verified before anyone sees them."""

    replicas: Annotated[int, Field(ge=1, le=100)] = 1
    """Number of replicas."""

    url: (
        Annotated[
            str,
            Field(min_length=1, max_length=512),
            Matches(
                rf"(s3|gs|az)://{HOST}(/[^\s@]*)?|file:///[^\s]*",
                "replicaSync.url must be s3://, gs:// or az://BUCKET/PATH, or file:///PATH",
            ),
        ]
        | None
    ) = None
    """Object store through which generations go. Without it: a volume of the pipeline's own."""

    secret_ref: SecretReference | None = None
    """Secret whose keys are given to the object store's client as environment variables, for example
    AWS_ACCESS_KEY_ID."""

    retention: Retention = Retention()
    """How long generations can be restored."""

    schedule: ReplicaSchedule = ReplicaSchedule()
    """How often something new is published, looked for, and checked."""

    placement: Placement = Placement.SPREAD
    """Spread: on different nodes where there are as many. Anywhere: where there is room."""


class Console(Workload):
    """The web console: charts of symbols, signals and what they earned."""

    replicas: Annotated[int, Field(ge=1, le=16)] = 1
    """Number of pods."""
