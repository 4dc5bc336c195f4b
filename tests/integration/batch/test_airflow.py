"""The DAGs in a real Airflow: found without errors, and run from end to end against the stand-ins."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from cluster import side_environments
from cluster.progress import Progress
from cluster.settings import REPO, Settings
from stockpipeline.adapters.history_redis import HistoryStore
from stockpipeline.api import Topic
from stockpipeline.market.sessions import session_iso
from tests.integration.batch.universe import SESSIONS, SYMBOLS, Exchange, collecting, exchange
from tests.integration.servers.postgres import running_server as running_postgres
from tests.integration.services.support import create_topics, pipeline, service
from tests.stand_ins.yahoo import Past

HERE = Path(__file__).parent
DAY = session_iso(SESSIONS[-1])
STEPS = ("collect_symbols", "coverage_gate", "merge_downloads", "compute_indicators", "scan_watchlist",
         "load_store", "publish_replica")  # fmt: skip


class Airflow:
    """Airflow's environment, with a database (SQLite, or that of a URL) and a folder of pipelines."""

    def __init__(self, folder: Path, database: str | None = None) -> None:
        settings = Settings.from_environment()
        self._python = side_environments.ensure(settings, side_environments.AIRFLOW, Progress())
        self.batches = folder / "batches"
        self.batches.mkdir()
        self._variables = {
            **side_environments.tree_path(settings),
            "AIRFLOW_HOME": str(folder / "home"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPO / "airflow_dags" / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPO / "airflow_dags" / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
            "STOCKPIPELINE_BATCHES": str(self.batches),
            "NO_PROXY": "*",
        }
        if database is not None:
            # As the chart of the backends has it.
            self._variables |= {
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": database,
            }
        self.command("db", "migrate")

    def script(self, name: str, *words: str) -> list[str]:
        """Run a script of this folder in it; return the lines it printed."""
        return self._call(str(HERE / name), *words)

    def run(self, dag: str, configuration: dict[str, Any]) -> dict[str, Any]:
        """Run a DAG in one process; return the states of the run and of its tasks."""
        found: dict[str, Any] = json.loads(
            self.script("airflow_run.py", "run", dag, json.dumps(configuration))[-1]
        )
        assert not found["errors"]
        return found

    def command(self, *words: str) -> list[str]:
        """Run Airflow's command line; return the lines it printed."""
        return self._call("-m", "airflow", *words)

    def _call(self, *words: str) -> list[str]:
        done = subprocess.run(
            [self._python, *words], env=self._variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout.splitlines()


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    return Airflow(tmp_path_factory.mktemp("airflow"))


@pytest.fixture(params=["SQLite", "Postgres"])
def airflow_of_each_kind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    if request.param == "SQLite":
        yield request.getfixturevalue("airflow")
        return
    with running_postgres() as server:
        yield Airflow(tmp_path_factory.mktemp("airflow"), server.url)


@pytest.fixture
def at() -> Iterator[Exchange]:
    with exchange() as made:
        yield made


def describe(airflow: Airflow, folder: Path, at: Exchange, name: str, redis: str) -> None:
    """Write the files of a pipeline whose services are this tree's."""
    config = collecting(name, redis, at.yahoo.chart_url).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    places = {"directoryUrl": at.nasdaq.directory_url, "screenerUrl": at.nasdaq.screener_url}
    config["spec"]["universe"]["collect"] |= places
    (folder / "pipeline.json").write_text(json.dumps(config))
    batch = {
        "name": name,
        "exchange": "XNAS",
        "start": DAY,
        "batches": 2,
        "retries": 0,
        "refusedRetries": 0,
        "command": [sys.executable, "-m", "stockpipeline.cli"],
        "config": str(folder / "pipeline.json"),
        "lake": str(folder / "lake"),
        "store": f"file://{folder}/data/store/generations",
        "replica": str(folder / "replica"),
    }
    (airflow.batches / f"{name}.json").write_text(json.dumps(batch))


@pytest.fixture
def store(kafka: str, redis: str, tmp_path: Path) -> Iterator[None]:
    """The store's service, which alone opens the master."""
    name = f"night-store-{token_hex(3)}"  # its topics are its own
    config = pipeline(name, kafka, redis, store={}, replicaSync={"schedule": {"publish": "200ms"}})
    create_topics(config, Topic.SIGNALS, Topic.PERFORMANCE)
    (tmp_path / "store").mkdir()
    running = service("store", config, tmp_path / "store", {"STOCKPIPELINE_DATA": str(tmp_path / "data")})
    running.process.start()
    yield
    running.process.kill()


@pytest.mark.usefixtures("store")
def test_a_session_goes_from_sources_with_faults_to_redis(
    airflow_of_each_kind: Airflow, at: Exchange, redis: str, tmp_path: Path
) -> None:
    airflow = airflow_of_each_kind
    describe(airflow, tmp_path, at, "night", redis)
    # One stock is dead, one comes without a row, and the first that are asked for are refused at first.
    at.yahoo.past[SYMBOLS[0]] = Past({})
    at.yahoo.faults.refused = 2
    listed = json.loads(airflow.script("airflow_run.py", "list")[-1])
    assert listed["errors"] == {}
    assert listed["dags"].keys() >= {"night_daily_pipeline", "night_watchlist_sync"}
    assert listed["dags"]["night_daily_pipeline"]["coverage_gate"] == ["merge_downloads"]

    daily = airflow.run("night_daily_pipeline", {"session": DAY})
    assert daily["state"] == "success"
    assert daily["tasks"] == {
        **{f"{step}[-1]": "success" for step in STEPS},
        "download_ohlcv[0]": "success",
        "download_ohlcv[1]": "success",
    }
    sync = airflow.run("night_watchlist_sync", {})
    assert sync["tasks"] == {"pull_replica[-1]": "success", "sync_redis[-1]": "success"}
    history = HistoryStore(redis, collecting("night", redis, at.yahoo.chart_url).names)
    assert history.digests().keys() == set(SYMBOLS[1:])
    assert at.yahoo.faults.refused == 0
    assert history.generation() == 1


def test_a_night_without_enough_bars_ends_at_the_gate(
    airflow: Airflow, at: Exchange, redis: str, tmp_path: Path
) -> None:
    describe(airflow, tmp_path, at, "poor", redis)
    for symbol in SYMBOLS[:6]:
        del at.yahoo.past[symbol].days[SESSIONS[-1]]
    daily = airflow.run("poor_daily_pipeline", {"session": DAY})
    assert daily["state"] == "failed"
    assert daily["tasks"]["coverage_gate[-1]"] == "failed"
    assert {daily["tasks"][f"{step}[-1]"] for step in STEPS[2:]} == {"upstream_failed"}
    assert not (tmp_path / "data").exists(), "nothing was delivered"


def test_runs_follow_the_sessions_of_the_exchange(airflow: Airflow) -> None:
    lines = [
        json.loads(line) for line in airflow.script("airflow_timetable.py") if line.startswith(("[", '"'))
    ]
    assert lines == [
        ["2024-11-27T14:30:00+00:00", "2024-11-27T21:00:00+00:00", "2024-11-27T23:00:00+00:00"],
        ["2024-11-29T14:30:00+00:00", "2024-11-29T18:00:00+00:00", "2024-11-29T20:00:00+00:00"],
        ["2024-12-02T14:30:00+00:00", "2024-12-02T21:00:00+00:00", "2024-12-02T23:00:00+00:00"],
        "2024-11-29T14:30:00+00:00",
    ]


def test_a_range_is_back_filled_by_one_command_and_is_one_of_sessions(
    airflow: Airflow, at: Exchange, redis: str, tmp_path: Path
) -> None:
    describe(airflow, tmp_path, at, "past", redis)
    airflow.command("dags", "reserialize")
    range_ = ("--from-date", "2024-11-27", "--to-date", "2024-12-03", "--max-active-runs", "1")
    airflow.command("backfill", "create", "--dag-id", "past_daily_pipeline", *range_)
    runs = airflow.command("dags", "list-runs", "past_daily_pipeline", "--output", "json")
    found = json.loads(next(line for line in runs if line.startswith("[")))
    assert sorted(one["logical_date"][:10] for one in found) == ["2024-11-27", "2024-11-29", "2024-12-02"]


def test_what_stopped_a_step_says_when_it_is_tried_again(airflow: Airflow) -> None:
    lines = [json.loads(line) for line in airflow.script("airflow_retries.py") if line.startswith("[")]
    assert lines == [
        ["SourceRefused", 3, "retry", 600.0],
        ["SourceRefused", 4, "retry", 600.0],
        ["SomeFailed", 3, "default", None],
        ["SomeFailed", 4, "fail", None],
        ["AirflowException", 3, "default", None],
        ["AirflowException", 4, "default", None],
    ]
