"""In which order the parts of a pipeline can work, and which of them keeps the others waiting. Pure.

The topics come before everything. Which workload needs which is said by the chart (`AFTER_ANNOTATION`), so a
component that comes later needs no change here.
"""

from collections.abc import Mapping, Sequence

from stockpipeline_operator.reconcile.state import Workload


def in_order(workloads: Sequence[Workload]) -> list[Workload]:
    """The workloads, each after those that it needs."""
    by_name = {one.component: one for one in workloads}
    return sorted(workloads, key=lambda one: (_depth(one.component, by_name, ()), one.component))


def culprit(one: Workload, workloads: Sequence[Workload]) -> Workload | None:
    """The first of the workloads that `one` needs that is not done; None where all are."""
    by_name = {other.component: other for other in workloads}
    needed = _needed(one.component, by_name, set())
    return next(
        (other for other in in_order(workloads) if other.component in needed and not other.done), None
    )


def _needed(component: str, by_name: Mapping[str, Workload], found: set[str]) -> set[str]:
    for earlier in by_name[component].after:
        if earlier in by_name and earlier not in found:
            found.add(earlier)
            _needed(earlier, by_name, found)
    return found


def _depth(component: str, by_name: Mapping[str, Workload], seen: tuple[str, ...]) -> int:
    if component in seen or component not in by_name:
        return 0
    earlier = by_name[component].after
    return max((1 + _depth(one, by_name, (*seen, component)) for one in earlier), default=0)
