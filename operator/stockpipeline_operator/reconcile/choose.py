"""Chooses what a pipeline is rendered with: what this operator brings, or what its release was made with."""

import threading
from dataclasses import dataclass, replace

from stockpipeline_operator.helm.releases import HelmReleases
from stockpipeline_operator.reconcile.base import Base
from stockpipeline_operator.reconcile.changes import plan_digest
from stockpipeline_operator.reconcile.pipeline import Pipeline
from stockpipeline_operator.reconcile.state import Problem, Release, ReleaseStatus

Key = tuple[str, str]


@dataclass(frozen=True)
class Choice:
    """What to work towards, and what waits to be accepted."""

    pipeline: Pipeline
    held: Pipeline | None = None
    """The pipeline as this operator would make it, where its release keeps an earlier base."""


def takes_newest(pipeline: Pipeline, release: Release | None) -> bool:
    """Whether to render with what this operator brings. `pipeline` is rendered so.

    A release of an operator that kept no base cannot be made again, and is upgraded.
    """
    if release is None or not release.ours or release.base in ("", pipeline.base.digest):
        return True
    return pipeline.takes_upgrades or pipeline.approved == plan_digest(release, pipeline.digest)


class Chooser:
    """Looks into a release only where it cannot be avoided, and remembers what it found."""

    def __init__(self, releases: HelmReleases) -> None:
        self._releases = releases
        self._known: dict[Key, tuple[str, int, str]] = {}
        self._lock = threading.Lock()

    def choose(self, pipeline: Pipeline, release: Release | None) -> Choice:
        """What to work towards. `pipeline` is rendered with what this operator brings."""
        if pipeline.deleting or pipeline.problems or takes_newest(pipeline, release):
            return Choice(pipeline)
        assert release is not None
        if release.status is ReleaseStatus.DEPLOYED and self._is_current(pipeline, release):
            return Choice(replace(pipeline, digest=release.digest), held=pipeline)
        base = Base.of_release(self._releases.stored(pipeline.namespace, release), pipeline.base.settings)
        kept = Pipeline.of(pipeline.resource, base)
        refusal = base.refusal(kept.values) if kept.values else None
        if refusal is not None:
            text = (
                f"the release keeps the chart of an earlier operator, which cannot do what the spec asks for "
                f"({refusal}); accept the upgrade, see the condition UpgradeAvailable"
            )
            kept = replace(kept, problems=(Problem("NeedsUpgrade", text),), values={}, digest="")
        with self._lock:
            self._known[pipeline.key] = (release.uid, pipeline.generation, kept.digest)
        return Choice(kept, held=pipeline)

    def forget(self, key: Key) -> None:
        """Drop what is remembered of a pipeline that is gone."""
        with self._lock:
            self._known.pop(key, None)

    def _is_current(self, pipeline: Pipeline, release: Release) -> bool:
        """Whether the release is known to be what the spec gives with the release's own base."""
        if release.generation == pipeline.generation:
            return True
        known = (release.uid, pipeline.generation, release.digest)
        with self._lock:
            return self._known.get(pipeline.key) == known
