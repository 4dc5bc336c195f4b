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

from airflow_dags.pipeline import BatchPipeline
from airflow_dags.runner import run_step
from airflow_dags.timetable import AfterSession

_FRIDAY = 5


def published(pipeline: BatchPipeline) -> Asset:
    """The asset that says that a session is in the store; the extra of its events has the session."""
    return Asset(name=f"{pipeline.name}_store", uri=f"stockpipeline://batch/{pipeline.name}")


def make_daily_pipeline(pipeline: BatchPipeline) -> DAG:
    """Return the DAG `NAME_daily_pipeline`."""

    @dag(
        dag_id=f"{pipeline.name}_daily_pipeline",
        schedule=AfterSession(pipeline.exchange, pipeline.after_close_seconds),
        start_date=datetime.combine(pipeline.start, datetime.min.time(), UTC),
        catchup=True,
        max_active_runs=1,
        is_paused_upon_creation=pipeline.suspend,
        default_args=_retries(pipeline),
        tags=["stockpipeline", pipeline.name],
        doc_md=__doc__,
    )
    def daily() -> None:
        def batch(step: str, *words: str, lake_only: bool = False) -> dict[str, Any]:
            of_session = () if lake_only else ("--session", _session())
            where = ("--config", str(pipeline.config), "--lake", str(pipeline.lake))
            return run_step([*pipeline.command, "batch", step, "--json", *where, *of_session, *words])

        @task
        def collect_symbols() -> dict[str, Any]:
            lists = {"--listed": pipeline.listed, "--screener": pipeline.screener}
            return batch("collect", *(word for pair in lists.items() if pair[1] for word in pair if word))

        @task(map_index_template="{{ task.op_kwargs['number'] }}")
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
                return batch("compute", lake_only=True)
            return run_step([*pipeline.spark, "--config", str(pipeline.config), "--lake", str(pipeline.lake)])

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
        dag_id=f"{pipeline.name}_watchlist_sync",
        schedule=[published(pipeline)],
        start_date=datetime.combine(pipeline.start, datetime.min.time(), UTC),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=pipeline.suspend,
        default_args=_retries(pipeline),
        params={"force_full": False, "validate": False},
        tags=["stockpipeline", pipeline.name],
        doc_md=__doc__,
    )
    def watchlist_sync() -> None:
        @task
        def pull_replica() -> dict[str, Any]:
            where = ["--store", pipeline.store, "--dir", str(pipeline.replica)]
            return run_step([*pipeline.command, "replica", "pull", "--json", *where])

        @task
        def sync_redis() -> dict[str, Any]:
            context = get_current_context()
            words: list[str] = []
            if context["params"]["force_full"]:
                words = ["--force-full"]
            elif context["params"]["validate"] or _ends_a_week(context):
                words = ["--validate"]
            where = ["--config", str(pipeline.config), "--replica", str(pipeline.replica)]
            return run_step([*pipeline.command, "batch", "sync", "--json", *where, *words])

        pull_replica() >> sync_redis()

    return watchlist_sync()


def _retries(pipeline: BatchPipeline) -> dict[str, Any]:
    return {
        "retries": pipeline.retries,
        "retry_delay": timedelta(seconds=pipeline.retry_seconds),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(hours=1),
    }


def _session() -> str:
    """The session that the run is about, as an ISO date."""
    context = get_current_context()
    chosen = (context["dag_run"].conf or {}).get("session")
    # Sessions of American exchanges begin and end on the same day in UTC.
    return (
        date.fromisoformat(chosen).isoformat() if chosen else context["data_interval_end"].date().isoformat()
    )


def _ends_a_week(context: Any) -> bool:
    """Whether one of the sessions that started the run was a Friday's: then everything is read back."""
    events = [event for events in context["triggering_asset_events"].values() for event in events]
    return any(date.fromisoformat(event.extra["session"]).isoweekday() == _FRIDAY for event in events)
