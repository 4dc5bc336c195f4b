"""What may be set for the pods of each component. Kubernetes' PodSpec is not embedded: it would make the
definition 500 KB of fields, most of which would break the component."""

import re
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from stockpipeline.api.base import ApiModel, Check, Matches, Unique
from stockpipeline.api.spec.texts import HttpUrl, SecretKeyReference

_SUFFIXES = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGT", start=1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGT", start=1)},
}
Quantity = Annotated[
    str,
    Field(min_length=1, max_length=20),
    Matches(
        r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?",
        "a quantity is a number with a unit of Kubernetes as text: '500m', '2', 512Mi, 1Gi",
    ),
]
LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
LabelValue = Annotated[
    str,
    Field(max_length=63),
    Matches(
        r"([A-Za-z0-9]([\-A-Za-z0-9_.]*[A-Za-z0-9])?)?",
        "a label's value is at most 63 letters, digits, '-', '_' and '.', and begins and ends with a letter "
        "or digit",
    ),
]
ImageText = Annotated[
    str,
    Field(min_length=1, max_length=512),
    Matches(
        r"[a-z0-9][a-z0-9._:/\-]*(:[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}|@sha256:[0-9a-f]{64})",
        "an image is REPOSITORY:TAG or REPOSITORY@sha256:DIGEST",
    ),
]


def quantity(text: str) -> Decimal:
    """The number that a `Quantity` stands for, in cores or bytes."""
    parts = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text)
    if parts is None or parts[2] not in _SUFFIXES:
        raise ValueError(f"{text!r} is not a quantity such as 500m, 2 or 512Mi")
    return Decimal(parts[1]) * _SUFFIXES[parts[2]]


class Quantities(ApiModel):
    """Processor time and memory."""

    cpu: Quantity | None = None
    """Processor time in cores, for example '2' or 500m. Without it: the component's default."""

    memory: Quantity | None = None
    """Memory in bytes, for example 512Mi or 2Gi. Without it: the component's default."""


def _fits(name: str) -> Check:
    """A request must not be more than the limit beside it."""

    def holds(resources: "Resources") -> bool:
        least, most = getattr(resources.requests, name), getattr(resources.limits, name)
        return least is None or most is None or quantity(least) <= quantity(most)

    return Check(
        f"!has(self.requests.{name}) || !has(self.limits.{name}) || "
        f"quantity(self.requests.{name}).compareTo(quantity(self.limits.{name})) <= 0",
        f"requests.{name} must not be more than limits.{name}",
        holds,
    )


class Resources(ApiModel):
    """What each pod asks for and may use at most."""

    requests: Quantities = Quantities()
    """What is set aside for each pod."""

    limits: Quantities = Quantities()
    """The most that each pod may use. Where it is left out and more than the default is requested: as much as
    is requested."""

    checks = (_fits("cpu"), _fits("memory"))


class Effect(StrEnum):
    """What a taint does."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class TolerationOperator(StrEnum):
    """How a toleration meets a taint."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class Toleration(ApiModel):
    """A taint of nodes that pods may run in spite of."""

    key: LabelKey | None = None
    """Key of the taint. Without it, and with operator Exists: every taint."""

    operator: TolerationOperator = TolerationOperator.EQUAL
    """Equal: key and value must be those of the taint. Exists: the key is enough."""

    value: LabelValue | None = None
    """Value of the taint; only with operator Equal."""

    effect: Effect | None = None
    """NoSchedule, PreferNoSchedule or NoExecute. Without it: all."""

    toleration_seconds: Annotated[int, Field(ge=0)] | None = None
    """Seconds that a pod stays on a node that gets the taint; only with effect NoExecute. Without it: for
    ever."""

    checks = (
        Check(
            "has(self.key) || self.operator == 'Exists'",
            "a toleration without a key needs operator Exists",
            lambda one: one.key is not None or one.operator is TolerationOperator.EXISTS,
        ),
        Check(
            "!has(self.value) || self.operator == 'Equal'",
            "a toleration with operator Exists takes no value",
            lambda one: one.value is None or one.operator is TolerationOperator.EQUAL,
        ),
        Check(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "tolerationSeconds needs effect NoExecute",
            lambda one: one.toleration_seconds is None or one.effect is Effect.NO_EXECUTE,
        ),
    )


class ValueFrom(ApiModel):
    """Where a variable's value is taken from."""

    secret_key_ref: SecretKeyReference
    """Key of a Secret in the pipeline's namespace."""


class Variable(ApiModel):
    """An environment variable."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=128),
        Matches(
            r"[A-Za-z_][A-Za-z0-9_]*",
            "a variable's name is made of letters, digits and '_' and does not begin with a digit",
        ),
    ]
    """Name of the variable."""

    value: Annotated[str, Field(max_length=4096)] | None = None
    """Its value; for secrets use valueFrom."""

    value_from: ValueFrom | None = None
    """Take the value from a Secret."""

    checks = (
        Check(
            "has(self.value) != has(self.valueFrom)",
            "a variable needs either value or valueFrom",
            lambda one: (one.value is None) != (one.value_from is None),
        ),
        Check(
            "!self.name.startsWith('STOCKPIPELINE_')",
            "variables that begin with STOCKPIPELINE_ are set by the operator",
            lambda one: not one.name.startswith("STOCKPIPELINE_"),
        ),
    )


class LogLevel(StrEnum):
    """How important what happens must be to be logged."""

    DEBUG = "Debug"
    INFO = "Info"
    WARNING = "Warning"
    ERROR = "Error"


class Tracing(ApiModel):
    """Where traces go: of each signal from its tick to the replicas, and of the batch's steps."""

    endpoint: HttpUrl
    """Base URL of a collector that takes OTLP over HTTP, for example http://otel-collector.observability:4318.
    A token for it is the variable OTEL_EXPORTER_OTLP_HEADERS in the components' env, from a Secret."""

    ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the traces that are made. All components choose the same ones."""


class Workload(ApiModel):
    """How a component's pods run."""

    resources: Resources = Resources()
    """Processor time and memory of each pod."""

    node_selector: Annotated[dict[LabelKey, LabelValue], Field(max_length=16)] = Field(default_factory=dict)
    """Labels that a node must have for the pods to run on it."""

    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16)] = ()
    """Taints of nodes that the pods may run in spite of."""

    image: ImageText | None = None
    """Image in place of the operator's, as REPOSITORY:TAG or REPOSITORY@sha256:DIGEST. It stays when the
    operator is upgraded."""

    env: Annotated[tuple[Variable, ...], Field(max_length=32), Unique("name")] = ()
    """Environment variables beside those that the operator sets, for example for a proxy."""
