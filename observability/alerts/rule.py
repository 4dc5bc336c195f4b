"""What a rule is, and how a file of rules is written."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

PREFIX = "StockPipeline"
BY = "cluster, namespace, pipeline"
"""What tells pipelines apart. `cluster` is an external label where several clusters share a Prometheus."""
_OF_PIPELINE = "?var-namespace={{ $labels.namespace }}&var-pipeline={{ $labels.pipeline }}"


@dataclass(frozen=True)
class Recording:
    """A query whose result is stored under a name."""

    name: str
    expr: str
    labels: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as Prometheus reads it."""
        labels = {"labels": self.labels} if self.labels else {}
        return {"record": self.name, "expr": tidy(self.expr), **labels}


@dataclass(frozen=True)
class Alert:
    """One alert. `summary` is the same for all that it fires for, `description` says for which and what."""

    name: str
    """Without the common prefix."""
    severity: str
    """critical: a person is needed now; warning: within a day; info: good to know."""
    wait: str
    expr: str
    summary: str
    description: str
    dashboard: str
    """The uid of the dashboard to look at, without the common prefix."""
    of_pipeline: bool = True
    """Whether it has the labels `namespace` and `pipeline`."""

    @property
    def full_name(self) -> str:
        """The name in Prometheus, and of the page in docs/runbooks."""
        return PREFIX + self.name

    def as_dict(self) -> dict[str, Any]:
        """Return it as Prometheus reads it; both addresses are relative, for whoever installs it knows where
        Grafana and the pages are."""
        variables = _OF_PIPELINE if self.of_pipeline else ""
        return {
            "alert": self.full_name,
            "expr": tidy(self.expr),
            "for": self.wait,
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"docs/runbooks/{self.full_name}.md",
                "dashboard_url": f"/d/stockpipeline-{self.dashboard}{variables}",
            },
        }


@dataclass(frozen=True)
class Group:
    """Rules that Prometheus evaluates one after the other."""

    name: str
    rules: Sequence[Recording | Alert]


def in_its_namespace(expr: str) -> str:
    """Return what the operator says of pipelines with their `namespace`, in place of the operator's own."""
    return f'label_replace({expr}, "namespace", "$1", "pipeline_namespace", "(.+)")'


def tidy(expr: str) -> str:
    """Return a query without the indentation that it has in the source."""
    return textwrap.dedent(expr).strip()


class _Dumper(yaml.SafeDumper):
    """Writes queries of several lines as such."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # Annotations are quoted, so that whoever ships the file can put an address before the relative ones.
    style = "|" if "\n" in text else '"' if text.startswith(("/d/", "docs/")) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def rule_file(groups: Sequence[Group]) -> str:
    """Return the groups as a rule file of Prometheus."""
    content = [{"name": group.name, "rules": [rule.as_dict() for rule in group.rules]} for group in groups]
    head = "# Written by `make generate` from observability/alerts.\n"
    return head + yaml.dump({"groups": content}, Dumper=_Dumper, sort_keys=False, width=10_000)
