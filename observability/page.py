"""docs/metrics.md, written from the contract."""

from collections.abc import Mapping, Sequence

from observability.contract import BOUNDS, Component, Metric

_HEAD = """\
# Metrics

Written by `make generate` from the code that declares them; a test compares the two. Every component serves
them at `/metrics` on its port `metrics`. Whoever scrapes adds `namespace`, `pod` and `component` (the charts'
Prometheus and monitors do). Processes also export Python's own `process_*` and `python_*`.

A histogram is queried as `NAME_bucket`, `NAME_count` and, unless its values may be negative, `NAME_sum`. A
figure that is not known has no series, rather than 0. The last column has the dashboards, alerts and
recording rules that read it.
"""


def render(metrics: Sequence[Metric], shown: Mapping[str, Sequence[str]]) -> str:
    """Return the whole page; `shown` says for each series which dashboards and alerts read it."""
    parts = [_HEAD]
    for component in Component:
        rows = [_row(metric, shown) for metric in metrics if metric.component is component]
        parts.append(
            f"## {component.value.capitalize()}\n\n"
            "| metric | kind | labels | unit | what it says | shown in |\n|---|---|---|---|---|---|\n"
            + "".join(rows)
        )
    used = {label for metric in metrics for label in metric.labels}
    parts.append(
        "## Labels\n\nWhat bounds the number of series. No label has a value per symbol.\n\n"
        "| label | values |\n|---|---|\n"
        + "".join(f"| `{label}` | {bound} |\n" for label, bound in BOUNDS.items() if label in used)
    )
    return "\n".join(parts)


def _row(metric: Metric, shown: Mapping[str, Sequence[str]]) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    places = dict.fromkeys(place for name in metric.series_names for place in shown.get(name, ()))
    where = ", ".join(places) or "internal"
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.unit} | {metric.meaning} | {where} |\n"
