"""What the operator is told by its environment; the operator's chart sets all of it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, TypeAdapter, ValidationError

from stockpipeline.api import Kafka, Redis, Resources

_PREFIX = "STOCKPIPELINE_OPERATOR_"


class SettingsError(ValueError):
    """A variable is missing or has a value that makes no sense."""


@dataclass(frozen=True)
class Settings:
    """Settings of one operator process; times in seconds."""

    chart: Path
    services_repository: str
    services_tag: str
    services_pull_policy: str
    services_pull_secrets: tuple[str, ...]
    services_resources: Mapping[str, Resources]
    """Usual resources by component, where they differ from the chart's."""
    kafka_bootstrap_servers: str
    redis_url: str
    namespaces: tuple[str, ...]
    """Namespaces to watch; empty for all."""
    lease: tuple[str, str]
    """Namespace and name of the Lease whose holder works."""
    airflow_account: tuple[str, str]
    """Namespace and name of the ServiceAccount with which Airflow runs the batch."""
    spark_image: str
    """Image of the batch's engine Spark; empty where there is none."""
    workers: int
    resync_seconds: float
    deletion_deadline_seconds: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the variables that begin with STOCKPIPELINE_OPERATOR_.

        Raises:
            SettingsError: names the variable, its value and what it should be.
        """
        values = _Variables(os.environ if environment is None else environment)
        return cls(
            chart=values.directory("CHART"),
            services_repository=values.text("SERVICES_REPOSITORY"),
            services_tag=values.text("SERVICES_TAG"),
            services_pull_policy=values.text("SERVICES_PULL_POLICY", "IfNotPresent"),
            services_pull_secrets=values.words("SERVICES_PULL_SECRETS"),
            services_resources=values.resources("SERVICES_RESOURCES"),
            kafka_bootstrap_servers=values.field("KAFKA_BOOTSTRAP_SERVERS", Kafka, "bootstrapServers"),
            redis_url=values.field("REDIS_URL", Redis, "url"),
            namespaces=values.words("NAMESPACES"),
            lease=values.pair("LEASE"),
            airflow_account=values.pair("AIRFLOW_ACCOUNT", "stockpipeline-backends/airflow"),
            spark_image=values.text("SPARK_IMAGE", ""),
            workers=int(values.number("WORKERS", 4, at_least=1)),
            resync_seconds=values.number("RESYNC_SECONDS", 30, at_least=1),
            deletion_deadline_seconds=values.number("DELETION_DEADLINE_SECONDS", 300, at_least=0),
        )


class _Variables:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str, default: str | None = None) -> str:
        value = self._environment.get(_PREFIX + name) or default
        if value is None:
            raise SettingsError(f"the environment variable {_PREFIX}{name} is not set")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        """Words separated by commas or spaces; none where the variable is not set."""
        return tuple(self.text(name, "").replace(",", " ").split())

    def resources(self, name: str) -> dict[str, Resources]:
        """Resources by component, as a JSON object."""
        text = self.text(name, "{}")
        try:
            return TypeAdapter(dict[str, Resources]).validate_json(text)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise SettingsError(f"{_PREFIX}{name}: {where}: {error.errors()[0]['msg']}") from None

    def number(self, name: str, default: float, *, at_least: float) -> float:
        text = self.text(name, str(default))
        try:
            value = float(text)
        except ValueError:
            raise SettingsError(f"{_PREFIX}{name} is {text!r}; it must be a number") from None
        if value < at_least:
            raise SettingsError(f"{_PREFIX}{name} is {text}; it must be at least {at_least:g}")
        return value

    def pair(self, name: str, default: str | None = None) -> tuple[str, str]:
        text = self.text(name, default)
        namespace, slash, object_name = text.partition("/")
        if not (namespace and slash and object_name) or "/" in object_name:
            raise SettingsError(f"{_PREFIX}{name} is {text!r}; it must be NAMESPACE/NAME")
        return namespace, object_name

    def field(self, name: str, model: type[BaseModel], field: str) -> str:
        """A text that must be fit for a field of the resource, for which it is the default."""
        text = self.text(name)
        try:
            model.model_validate({field: text})
        except ValidationError as error:
            # Without the value: a URL may hold a password, and the message says what it should be.
            raise SettingsError(f"{_PREFIX}{name}: {error.errors()[0]['msg']}") from None
        return text

    def directory(self, name: str) -> Path:
        path = Path(self.text(name))
        if not path.is_dir():
            raise SettingsError(f"{_PREFIX}{name} is {path}, which is not a directory")
        return path
