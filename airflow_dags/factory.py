"""The two DAGs of a pipeline.

    NAME_daily_pipeline   after each session: collect, download (mapped), gate, merge, compute, scan, load and
                          publish, which emits an asset event with the session
    NAME_watchlist_sync   on that event, and by hand: pull a replica, bring Redis to it

A task is one command of `stockpipeline`, and each can run again by itself. By hand a run takes the
configuration {"session": "2026-11-20"}; without it, it is about the last session that is over.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, TriggerRule, dag, get_current_context, task

from airflow_dags.pause import TAG
from airflow_dags.pipeline import BatchPipeline
from airflow_dags.record import RunRecord
from airflow_dags.retries import ByCause
from airflow_dags.runner import run_step
from airflow_dags.timetable import AfterSession
from airflow_dags.weeks import ends_week
from stockpipeline.market.exchange_hours import ExchangeHours


def published(pipeline: BatchPipeline) -> Asset:
    """The asset that says that a session is in the store; the extra of its events has the session."""
    return Asset(name=f"{pipeline.prefix}_store", uri=f"stockpipeline://batch/{pipeline.prefix}")


def make_daily_pipeline(pipeline: BatchPipeline) -> DAG:
    """Return the DAG `NAME_daily_pipeline`."""

    @dag(
        dag_id=pipeline.daily,
        schedule=AfterSession(pipeline.exchange, pipeline.after_close_seconds),
        start_date=datetime.combine(pipeline.start, datetime.min.time(), UTC),
        catchup=True,
        max_active_runs=1,
        is_paused_upon_creation=pipeline.suspend,
        default_args=_usual(pipeline),
        tags=[TAG, pipeline.name],
        doc_md=__doc__,
    )
    def daily() -> None:
        record = RunRecord.of(pipeline)

        def batch(step: str, *words: str) -> dict[str, Any]:
            where = ["--config", str(pipeline.config), "--lake", pipeline.lake, "--session", _session()]
            if pipeline.lake_cache is not None:
                where += ["--lake-cache", str(pipeline.lake_cache)]
            return run_step(pipeline, ["batch", step, "--json", *where, *words], _session())

        @task
        def collect_symbols() -> dict[str, Any]:
            if record is not None:
                record.begin(_run(get_current_context()), _session())
            return batch("collect")

        # A download that failed is no failure of the night: the gate looks at what is missing.
        @task(
            map_index_template="{{ task.op_kwargs['number'] }}",
            on_failure_callback=None,
            retries=max(pipeline.retries, pipeline.refused_retries),
        )
        def download_ohlcv(number: int) -> dict[str, Any]:
            return batch("download", "--batch", str(number), "--batches", str(pipeline.batches))

        # Also when a download has failed for good: what is missing may be little enough.
        @task(trigger_rule=TriggerRule.ALL_DONE)
        def coverage_gate() -> dict[str, Any]:
            return batch("gate")

        @task
        def merge_downloads() -> dict[str, Any]:
            return batch("merge")

        @task
        def compute_indicators() -> dict[str, Any]:
            if pipeline.spark is None:
                return batch("compute")
            words = ["--config", str(pipeline.config), "--lake", pipeline.lake]
            return run_step(pipeline, words, program=pipeline.spark)

        @task
        def scan_watchlist() -> dict[str, Any]:
            return batch("scan")

        @task
        def load_store() -> dict[str, Any]:
            return batch("load", "--deliver", "--store", pipeline.store)

        # The store's service publishes what it loads, and `load_store` ends when that is done.
        @task(outlets=[published(pipeline)])
        def publish_replica(loaded: dict[str, Any]) -> None:
            event = get_current_context()["outlet_events"][published(pipeline)]
            event.extra = {"session": _session(), "generation": loaded["generation"]}

        downloads = download_ohlcv.expand(number=list(range(pipeline.batches)))
        gate = coverage_gate()
        loaded = load_store()
        (
            collect_symbols()
            >> downloads
            >> gate
            >> merge_downloads()
            >> compute_indicators()
            >> scan_watchlist()
            >> loaded
        )
        publish_replica(loaded)

    return daily()


def make_watchlist_sync(pipeline: BatchPipeline) -> DAG:
    """Return the DAG `NAME_watchlist_sync`; by hand it takes `force_full` and `validate`."""

    @dag(
        dag_id=pipeline.sync,
        schedule=[published(pipeline)],
        start_date=datetime.combine(pipeline.start, datetime.min.time(), UTC),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=pipeline.suspend,
        default_args=_usual(pipeline),
        params={"force_full": False, "validate": False},
        tags=[TAG, pipeline.name],
        doc_md=__doc__,
    )
    def watchlist_sync() -> None:
        record = RunRecord.of(pipeline)

        @task
        def pull_replica() -> dict[str, Any]:
            where = ["--store", pipeline.store, "--dir", str(pipeline.replica)]
            return run_step(pipeline, ["replica", "pull", "--json", *where])

        @task
        def sync_redis() -> dict[str, Any]:
            context = get_current_context()
            words: list[str] = []
            if context["params"]["force_full"]:
                words = ["--force-full"]
            elif context["params"]["validate"] or _ends_a_week(pipeline, context):
                words = ["--validate"]
            where = ["--config", str(pipeline.config), "--replica", str(pipeline.replica)]
            report = run_step(pipeline, ["batch", "sync", "--json", *where, *words])
            if record is not None:
                record.succeed(_run(context), report["session"])
            return report

        pull_replica() >> sync_redis()

    return watchlist_sync()


def _usual(pipeline: BatchPipeline) -> dict[str, Any]:
    """What all tasks have."""
    record = RunRecord.of(pipeline)

    def failed(context: Any) -> None:
        if record is not None:
            instance = context["ti"]
            record.fail(_run(context), _session_of(context), instance.task_id, context.get("exception"))

    return {
        "on_failure_callback": failed,
        "retries": pipeline.retries,
        "retry_delay": timedelta(seconds=pipeline.retry_seconds),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(hours=1),
        "retry_policy": ByCause(pipeline.retries, timedelta(seconds=pipeline.refused_seconds)),
    }


def _session() -> str:
    """The session that the run is about, as an ISO date."""
    return _session_of(get_current_context())


def _session_of(context: Any) -> str:
    chosen = (context["dag_run"].conf or {}).get("session")
    if chosen:
        return date.fromisoformat(chosen).isoformat()
    events = _events(context)
    if events:
        return max(str(event.extra["session"]) for event in events)
    # Sessions of American exchanges begin and end on the same day in UTC. A sync by hand is about none.
    end = context.get("data_interval_end")
    return "none" if end is None else str(end.date().isoformat())


def _run(context: Any) -> str:
    """Names the run."""
    return f"{context['dag_run'].dag_id} {context['dag_run'].run_id}"


def _events(context: Any) -> list[Any]:
    """The events that started the run."""
    return [event for events in (context.get("triggering_asset_events") or {}).values() for event in events]


def _ends_a_week(pipeline: BatchPipeline, context: Any) -> bool:
    """Whether one of the sessions that started the run was its week's last: then everything is read back."""
    hours = ExchangeHours.of(pipeline.exchange)
    return any(ends_week(hours, date.fromisoformat(event.extra["session"])) for event in _events(context))
