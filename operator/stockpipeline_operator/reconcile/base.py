"""What the operator brings to a release: chart, image and defaults.

Upgrading the operator must restart nothing by itself. So each release keeps the base it was made with (the
chart is in Helm's own Secret, the rest is among the values), and a changed spec is rendered with that until
the upgrade is accepted.
"""

import base64
import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import yaml
from helm_python import HelmValuesError

from stockpipeline.api import Resources
from stockpipeline_operator.helm.chart import PipelineChart, Values
from stockpipeline_operator.settings import Settings

Object = dict[str, Any]


@dataclass(frozen=True)
class Base:
    """A chart, and the settings of the operator that go into a release."""

    settings: Settings
    chart: PipelineChart

    @property
    def values(self) -> Values:
        """What a release keeps of it."""
        settings = self.settings
        return {
            "chart": self.chart.identity,
            "repository": settings.services_repository,
            "tag": settings.services_tag,
            "pullPolicy": settings.services_pull_policy,
            "pullSecrets": list(settings.services_pull_secrets),
            "resources": {name: one.to_wire() for name, one in settings.services_resources.items()},
            "kafka": settings.kafka_bootstrap_servers,
            "redis": settings.redis_url,
        }

    @property
    def digest(self) -> str:
        """What identifies it: 40 hex digits, so that a label can hold it."""
        text = json.dumps(self.values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:40]

    @classmethod
    def of_release(cls, stored: Object, settings: Settings) -> Self:
        """The base that a release was made with; `stored` is what Helm keeps of it."""
        kept: Mapping[str, Any] = stored["config"]["base"]
        resources = {name: Resources.model_validate(one) for name, one in kept["resources"].items()}
        return cls(
            replace(
                settings,
                services_repository=kept["repository"],
                services_tag=kept["tag"],
                services_pull_policy=kept["pullPolicy"],
                services_pull_secrets=tuple(kept["pullSecrets"]),
                services_resources=resources,
                kafka_bootstrap_servers=kept["kafka"],
                redis_url=kept["redis"],
            ),
            _chart(stored["chart"], kept["chart"]),
        )

    def refusal(self, values: Values) -> str | None:
        """Why the chart cannot take these values, or None."""
        try:
            self.chart.handle.validate_schema(values)
        except HelmValuesError as error:
            return str(error)
        return None


def _chart(stored: Object, identity: str) -> PipelineChart:
    """The chart as Helm keeps it in a release (helm.sh/helm/v4/pkg/chart/v2/chart.go), loaded again."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "Chart.yaml").write_text(yaml.safe_dump(stored["metadata"]))
        (directory / "values.yaml").write_text(yaml.safe_dump(stored["values"]))
        if stored.get("schema"):
            (directory / "values.schema.json").write_bytes(base64.b64decode(stored["schema"]))
        for one in [*stored["templates"], *(stored.get("files") or ())]:
            path = directory / one["name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(base64.b64decode(one["data"]))
        return PipelineChart(directory, identity)
