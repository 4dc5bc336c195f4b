"""What a step gets: the pipeline, what was observed, and the tools to change things with."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stockpipeline.api import Plan
from stockpipeline_operator.feed.probe import FeedProbe
from stockpipeline_operator.feed.replicas import ReplicaProbe
from stockpipeline_operator.helm.releases import HelmReleases
from stockpipeline_operator.kafka_topics import KafkaTopics
from stockpipeline_operator.kube.client import KubeClient
from stockpipeline_operator.metrics import OperatorMetrics
from stockpipeline_operator.reconcile.attempts import Attempts
from stockpipeline_operator.reconcile.batch_figures import Batches
from stockpipeline_operator.reconcile.contents import Revisions
from stockpipeline_operator.reconcile.corrections import Corrections, utc_now
from stockpipeline_operator.reconcile.events import Events
from stockpipeline_operator.reconcile.inventory import Inventory
from stockpipeline_operator.reconcile.pipeline import Pipeline
from stockpipeline_operator.reconcile.state import Cleanup, Desired, Observed


@dataclass(frozen=True)
class Tools:
    """Adapters that all passes share."""

    client: KubeClient
    releases: HelmReleases
    kafka: KafkaTopics
    events: Events
    metrics: OperatorMetrics
    inventory: Inventory
    revisions: Revisions
    corrections: Corrections
    attempts: Attempts
    feed: FeedProbe
    replicas: ReplicaProbe
    batches: Batches
    ask_pod: Callable[[str], Sequence[str]]
    """Why the pod at an IP address is not ready, in its own words."""
    now: Callable[[], datetime.datetime] = utc_now


@dataclass
class Work:
    """One pass over one pipeline. Steps may put a newer version of the resource in, and what they cleaned."""

    tools: Tools
    pipeline: Pipeline
    desired: Desired
    observed: Observed
    cleaned: frozenset[Cleanup] = frozenset()
    held: Pipeline | None = None
    """The pipeline as an upgrade of the operator would make it, where that is not accepted yet."""
    plan: Plan | None = None
    """What would change, and waits."""
    corrected: list[str] = field(default_factory=list)
    """What was put right in this pass, each as a sentence."""
