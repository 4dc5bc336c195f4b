"""SQL over HTTP: what is asked is answered whole, and nothing but reading this one database can be done."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from observability.dashboards import OF_REPLICAS, sql_layout
from observability.dashboards.board import SqlPanel
from stockpipeline.store.query import Busy, Limits, QueryService, TimedOut
from stockpipeline.store.sql_endpoint import ARROW, SqlEndpoint
from tests.integration.store.conftest import World
from tests.integration.store.masters import SUMS_QUERY

Post = Callable[..., tuple[int, Any]]
LIMITS = Limits(seconds=1.0, memory="64MB", result_bytes=1_000_000, at_once=2)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One for all tests here: asking changes nothing."""
    made = World(tmp_path_factory.mktemp("sql"))
    made.publish_and_pull()
    return made


@pytest.fixture(scope="module")
def endpoint(world: World) -> Iterator[SqlEndpoint]:
    served = SqlEndpoint(QueryService(world.replica, LIMITS), ("127.0.0.1", 0))
    served.start()
    yield served
    served.stop()


@pytest.fixture(scope="module")
def post(endpoint: SqlEndpoint) -> Post:
    host, port = endpoint.address

    def ask(sql: str, accept: str = "application/json", **more: object) -> tuple[int, Any]:
        request = urllib.request.Request(
            f"http://{host}:{port}/query",
            data=json.dumps({"sql": sql, **more}).encode(),
            headers={"Accept": accept},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                body = response.read()
                return response.status, body if accept == ARROW else json.loads(body)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    return ask


@pytest.mark.parametrize(
    "panel",
    [panel for board in OF_REPLICAS for row in board.rows for panel in row.panels],
    ids=lambda one: one.title,
)
def test_it_answers_what_the_dashboards_ask(post: Post, panel: SqlPanel) -> None:
    body = sql_layout.request(panel)
    status, answer = post(body["sql"], parameters=["%"])
    assert status == 200, answer
    assert len(answer["columns"]) == len(panel.columns)


def test_answers_are_of_one_generation_and_follow_swaps(world: World, post: Post) -> None:
    for _ in range(3):
        status, said = post(SUMS_QUERY, maxLagSeconds=600)
        rows, total = world.sums[world.day]
        assert (status, said["generation"]) == (200, world.day)
        assert [int(value) for value in said["rows"][0]] == [rows, total]
        world.publish_and_pull()


def test_values_keep_their_meaning(post: Post) -> None:
    sql = (
        "SELECT session, symbol, 'nan'::DOUBLE AS nothing, NULL AS none FROM bars WHERE symbol = ?"
        " ORDER BY session LIMIT 1"
    )
    status, said = post(sql, parameters=["S0001"])
    assert status == 200
    assert [column["name"] for column in said["columns"]] == ["session", "symbol", "nothing", "none"]
    assert said["rows"] == [["2024-01-02", "S0001", None, None]]


def test_values_without_a_form_in_json_are_told_and_come_by_arrow(post: Post) -> None:
    sql = "SELECT INTERVAL 1 MONTH AS span, '2020-01-01 00:00:00'::TIMESTAMP_NS AS at, 1::HUGEINT AS large"
    status, said = post(sql)
    assert (status, said["rows"]) == (200, [[[1, 0, 0], "2020-01-01 00:00:00", 1]])

    status, said = post("SELECT DATE '99999-01-01' AS far")
    assert (status, said["error"]) == (400, "FailedQuery")
    assert "Arrow" in said["message"]
    assert post("SELECT DATE '99999-01-01' AS far", accept=ARROW)[0] == 200


def test_arrow_is_a_stream_of_the_whole_result(world: World, post: Post) -> None:
    status, body = post("SELECT symbol, close FROM bars ORDER BY symbol", accept=ARROW)
    assert status == 200
    table = pa.ipc.open_stream(body).read_all()
    assert (table.num_rows, table.column_names) == (world.sums[world.day][0], ["symbol", "close"])


def test_a_get_and_readiness(world: World, endpoint: SqlEndpoint) -> None:
    host, port = endpoint.address
    query = urllib.parse.urlencode({"sql": "SELECT count(*) AS n FROM bars"})
    with urllib.request.urlopen(f"http://{host}:{port}/query?{query}") as response:
        assert json.load(response)["rows"] == [[world.sums[world.day][0]]]
        assert response.headers["X-Generation"] == str(world.day)
    with urllib.request.urlopen(f"http://{host}:{port}/readyz") as response:
        assert json.load(response)["generation"] == world.day


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO bars SELECT * FROM bars",
        "DELETE FROM bars",
        "CREATE TEMP TABLE x (i INTEGER)",
        "ATTACH '/tmp/x.db'",
        "COPY bars TO '/tmp/stolen.csv'",
        "SET memory_limit = '10GB'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CALL pragma_version()",
        "CHECKPOINT",
        "SELECT 1; SELECT 2",
        "",
    ],
)
def test_statements_that_do_not_read_are_refused(post: Post, sql: str) -> None:
    status, said = post(sql)
    assert (status, said["error"]) == (403, "RefusedStatement")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_parquet('http://127.0.0.1:1/x.parquet')",
        "SELECT * FROM sqlite_scan('/tmp/x', 't')",
        "SELECT * FROM parquet_metadata('/etc/passwd')",
        "SELECT * FROM query('DELETE FROM bars')",
        "SELECT * FROM duckdb_secrets()",
        "EXPLAIN ANALYZE DELETE FROM bars",
        "EXPLAIN ANALYZE COPY bars TO '/tmp/stolen.csv'",
        "EXPLAIN ANALYZE SET threads = 100",
        "SELECT * FROM endpoint",
        "SELECT * FROM nothing",
        "SELEC",
    ],
)
def test_files_network_and_variables_cannot_be_read(post: Post, sql: str) -> None:
    status, said = post(sql)
    assert (status, said["error"]) == (400, "FailedQuery")
    assert "root:" not in said["message"]


@pytest.mark.parametrize(
    ("sql", "status", "error"),
    [
        ("SELECT sum(a.i * b.i) FROM range(10000000) a(i), range(1000000) b(i)", 408, "TimedOut"),
        ("SELECT i, repeat('x', 1000) FROM range(100000) r(i)", 413, "TooLarge"),
        ("SELECT count(DISTINCT repeat('x', 100) || i) FROM range(20000000) r(i)", 400, "FailedQuery"),
    ],
)
def test_time_size_and_memory_are_bounded_and_the_next_query_is_answered(
    post: Post, sql: str, status: int, error: str
) -> None:
    found, said = post(sql)
    # A busy machine may run out of time before it runs out of memory.
    assert (found, said["error"]) in {(status, error), (408, "TimedOut")}
    assert post("SELECT 1 AS one")[1]["rows"] == [[1]]


def test_more_clients_than_slots_wait_for_each_other_on_connections_that_stay(endpoint: SqlEndpoint) -> None:
    def ask_often(number: int) -> list[tuple[int, int]]:
        connection = http.client.HTTPConnection(*endpoint.address, timeout=60)
        found = []
        for turn in range(10):
            connection.request("GET", f"/query?sql=SELECT+{number}+*+100+%2B+{turn}")
            with connection.getresponse() as response:
                found.append((response.status, json.loads(response.read())["rows"][0][0]))
        connection.close()
        return found

    with ThreadPoolExecutor(6 * LIMITS.at_once) as pool:
        answers = list(pool.map(ask_often, range(6 * LIMITS.at_once)))
    assert answers == [[(200, 100 * number + turn) for turn in range(10)] for number in range(len(answers))]


def test_a_query_is_refused_where_none_of_the_others_ends(world: World) -> None:
    service = QueryService(world.replica, replace(LIMITS, seconds=5.0, at_once=1, wait_seconds=0.05))
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(
            service.run, "SELECT sum(a.i * b.i) FROM range(10000000) a(i), range(1000000) b(i)"
        )

        def ask_until_refused() -> None:
            while not slow.done():
                service.run("SELECT 1")

        with pytest.raises(Busy, match="1 queries are running, as many as may"):
            ask_until_refused()
        assert isinstance(slow.exception(), TimedOut)
    assert service.run("SELECT 1").table.num_rows == 1
    service.replica.close()


def test_bad_requests_and_old_data_are_told(world: World, post: Post) -> None:
    assert post("SELECT 1", unknown=1)[0] == 400
    status = world.puller.folder.status()
    world.puller.folder.set_status(type(status)(fresh_ms=1))
    found, said = post("SELECT 1", maxLagSeconds=60)
    world.puller.folder.set_status(status)
    assert (found, said["error"]) == (503, "TooStale")
