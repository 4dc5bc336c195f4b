"""One pass over one pipeline: look, decide, do one step, and again until nothing is left; then report."""

import threading
from collections.abc import Callable
from dataclasses import replace

from stockpipeline.api import PlanReason
from stockpipeline.runtime import tracing
from stockpipeline_operator.helm.releases import HelmFailure
from stockpipeline_operator.kafka_topics import KafkaFailure
from stockpipeline_operator.kube.client import ApiError, Conflict, NotFound
from stockpipeline_operator.kube.resources import STOCK_PIPELINE
from stockpipeline_operator.reconcile import (
    condemn,
    endpoints,
    finalizer,
    install,
    keys,
    pod_troubles,
    restore,
    roll_back,
    status,
    topics,
    uninstall,
    unlock,
    upgrade,
)
from stockpipeline_operator.reconcile.base import Base
from stockpipeline_operator.reconcile.choose import Chooser
from stockpipeline_operator.reconcile.decide import Rest, Step, approved, decide
from stockpipeline_operator.reconcile.events import Severity
from stockpipeline_operator.reconcile.observe import Observer
from stockpipeline_operator.reconcile.pipeline import Pipeline
from stockpipeline_operator.reconcile.planning import Planner
from stockpipeline_operator.reconcile.state import Desired, Observed, Problem
from stockpipeline_operator.reconcile.verdict import Verdict, failed, judge
from stockpipeline_operator.reconcile.waiting import waiting_sentence
from stockpipeline_operator.reconcile.work import Tools, Work
from stockpipeline_operator.redis_keys import RedisFailure

# (namespace, name) of a StockPipeline.
Key = tuple[str, str]

STEPS: dict[Step, Callable[[Work], None]] = {
    Step.ADD_FINALIZER: finalizer.add,
    Step.RECORD_ENDPOINTS: endpoints.record,
    Step.UNLOCK: unlock.unlock,
    Step.CREATE_TOPICS: topics.create,
    Step.INSTALL: install.install,
    Step.UPGRADE: upgrade.upgrade,
    Step.CONDEMN: condemn.condemn,
    Step.ROLL_BACK: roll_back.roll_back,
    Step.RESTORE: restore.restore,
    Step.UNINSTALL: uninstall.uninstall,
    Step.CLEAN_KAFKA: topics.clean,
    Step.CLEAN_REDIS: keys.clean,
    Step.REMOVE_FINALIZER: finalizer.remove,
}
# They change the resource alone: what else was observed is as new after them as before.
_ON_THE_RESOURCE = frozenset({Step.ADD_FINALIZER, Step.RECORD_ENDPOINTS})
# More than the longest way through `decide`; reached only if steps have no effect.
_MOST_STEPS = 2 * len(STEPS)
# Neither Kafka nor ending pods tell when they have changed.
_LOOK_AGAIN_SECONDS = {Rest.BLOCKED: 5.0, Rest.DRAINING: 1.0, Rest.LOCKED: 2.0}


class Retry(Exception):
    """The pass could not be finished; the text says why."""


class Reconciler:
    """Passes over pipelines; different pipelines may be worked on by different threads at once."""

    def __init__(self, base: Base, tools: Tools) -> None:
        self._base = base
        self._tools = tools
        self._chooser = Chooser(tools.releases)
        self._planner = Planner(tools.client, tools.revisions)
        self._observer = Observer(
            tools.client,
            tools.releases,
            tools.kafka,
            tools.inventory,
            tools.revisions,
            tools.corrections,
            tools.attempts,
        )
        self._conditions: dict[Key, dict[str, str]] = {}
        self._lock = threading.Lock()

    def reconcile(self, key: Key) -> float | None:
        """Bring the pipeline as far as possible; return after how many seconds to look again, if not only on
        the next event.

        Raises:
            Retry: something failed in a way that time may heal.
        """
        try:
            return self._reconcile(key)
        except ApiError as error:
            # Among them: somebody changed the resource while we looked at it (409).
            raise Retry(str(error)) from error

    def _reconcile(self, key: Key) -> float | None:
        resource = self._tools.client.get(STOCK_PIPELINE.path(*key))
        if resource is None:
            self._forget(key)
            return None
        pipeline = Pipeline.of(resource, self._base)
        work = Work(self._tools, pipeline, self._desired(pipeline), Observed())
        try:
            rest = self._step(work)
        except Conflict:
            raise
        except (ApiError, HelmFailure, KafkaFailure, RedisFailure) as error:
            if isinstance(error, HelmFailure):
                self._tools.attempts.failed(key, pipeline.digest, str(error))
            if pipeline.deleting:
                self._tools.attempts.deletion_failed(key)
            self._report(work, None, failed(Problem(error.reason, str(error))))
            raise Retry(str(error)) from error
        if rest is Rest.GONE:
            self._forget(key)
            return None
        if rest is not Rest.LOCKED:
            self._tools.attempts.succeeded(key)
        self._report(work, work.observed, self._judge(work, rest))
        again = [contest.again_in_seconds for contest in work.observed.contests]
        if rest in _LOOK_AGAIN_SECONDS:
            again.append(_LOOK_AGAIN_SECONDS[rest])
        rollout = work.pipeline.reported.failed_rollout
        if rest is Rest.ROLLED_BACK and rollout is not None:
            again.append(max(0.0, (rollout.retry_at - self._tools.now()).total_seconds()))
        if rest is Rest.OUT_OF_WINDOW and work.desired.session_closes is not None:
            again.append(max(0.0, (work.desired.session_closes - self._tools.now()).total_seconds()))
        return min(again, default=None)

    def condition_statuses(self) -> dict[Key, dict[str, str]]:
        """For each known pipeline: condition type → status."""
        with self._lock:
            return dict(self._conditions)

    def _step(self, work: Work) -> Rest:
        chosen = False
        last: Step | None = None
        for _ in range(_MOST_STEPS):
            work.desired = self._desired(work.pipeline)
            if last not in _ON_THE_RESOURCE:
                work.observed = self._observer.observe(
                    work.pipeline, work.cleaned, give_up=work.desired.give_up
                )
            if not chosen:
                self._choose(work)
                chosen = True
            self._plan(work)
            decision = decide(work.desired, work.observed)
            if isinstance(decision, Rest):
                return decision
            with tracing.span(decision.value):
                STEPS[decision](work)
            last = decision
        raise Retry(f"{_MOST_STEPS} steps did not settle it; the last was: {decision.value}")

    def _choose(self, work: Work) -> None:
        choice = self._chooser.choose(work.pipeline, work.observed.release)
        work.pipeline, work.held = choice.pipeline, choice.held
        work.desired = self._desired(work.pipeline)

    def _plan(self, work: Work) -> None:
        """Find out what would change, where that is shown or where it matters."""
        desired, observed, work.plan = work.desired, work.observed, None
        release = observed.release
        if desired.deleting or desired.problems or (release is not None and not release.ours):
            return
        deployed = "" if release is None else release.digest
        unapproved = desired.planned and not approved(desired, release)
        if deployed != desired.digest and (unapproved or desired.session_closes is not None):
            reason = PlanReason.MODE if unapproved else PlanReason.WINDOW
            work.plan = self._planner.plan(work.pipeline, observed, reason)
            work.observed = replace(observed, restarts=any(one.restarts for one in work.plan.changes))
        elif work.held is not None:
            work.plan = self._planner.plan(work.held, observed, PlanReason.UPGRADE)

    def _judge(self, work: Work, rest: Rest) -> Verdict:
        starting = rest in (Rest.SETTLED, Rest.ROLLED_BACK) and any(
            not one.done for one in work.observed.workloads
        )
        troubles = self._troubles(work.pipeline) if starting else {}
        return judge(
            work.desired,
            work.observed,
            rest,
            troubles,
            failed_rollout=work.pipeline.reported.failed_rollout,
            waiting=waiting_sentence(work.pipeline, work.plan),
        )

    def _troubles(self, pipeline: Pipeline) -> dict[str, str]:
        pods = self._observer.pods(pipeline)
        said = {name: self._tools.ask_pod(at) for name, at in pod_troubles.running(pods).items()}
        return pod_troubles.describe(pods, said)

    def _report(self, work: Work, observed: Observed | None, verdict: Verdict) -> None:
        pipeline = work.pipeline
        before = status.ready_condition(pipeline.reported)
        now = self._tools.now().replace(microsecond=0)
        made = status.status_of(work, observed, verdict, now)
        try:
            written = status.write(self._tools.client, pipeline, made)
        except NotFound:
            return
        with self._lock:
            self._conditions[pipeline.namespace, pipeline.name] = {
                condition.type: condition.status.value for condition in made.conditions
            }
        if written is not None and (before is None or before.reason != verdict.reason):
            severity: Severity = "Warning" if verdict.warning else "Normal"
            self._tools.events.record(pipeline, severity, verdict.reason, verdict.message)

    def _desired(self, pipeline: Pipeline) -> Desired:
        desired = pipeline.desired(self._tools.now(), self._base.settings.deletion_deadline_seconds)
        hopeless = self._tools.attempts.deletion_hopeless(pipeline.key)
        return replace(desired, give_up=desired.deadline_passed and hopeless)

    def _forget(self, key: Key) -> None:
        with self._lock:
            self._conditions.pop(key, None)
        self._tools.revisions.forget(*key)
        self._chooser.forget(key)
        self._tools.feed.forget(key)
        self._tools.replicas.forget(key)
        self._tools.batches.forget(key)
        self._tools.corrections.forget(key)
        self._tools.attempts.forget(key)
