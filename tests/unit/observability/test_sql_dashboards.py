"""The dashboards that ask a replica: what they ask is answered by the store's own tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from observability import shown
from observability.dashboards import OF_REPLICAS, sql_layout
from observability.dashboards.board import SqlPanel
from stockpipeline.store.migrations import migrate

DASHBOARDS = {board.uid: shown.load(sql_layout.render(board)) for board in OF_REPLICAS}
PANELS = [panel for dashboard in DASHBOARDS.values() for panel in shown.panels(dashboard)]
TITLES = [panel["title"] for panel in PANELS]
SOURCE = {"type": "yesoreyeram-infinity-datasource", "uid": "${replica}"}
HOUR = 3_600_000
BEGIN = 1_704_292_200_000


def record(number: int, status: str, net: float | None) -> str:
    """A record of the topic as docs/performance.md has it: reached at 1h where `net` is given."""
    figures = {
        "due": BEGIN + HOUR, "exit": {"ts": BEGIN + HOUR + number, "price": 101.0}, "return": net,
        "net_return": net, "excess": None, "mfe": 0.02, "mae": -0.01, "time_to_mfe": 60.0,
    }  # fmt: skip
    return json.dumps(
        {
            "id": f"s{number}",
            "symbol": ("AAPL", "IBM")[number % 2],
            "rule": "rsi-oversold",
            "side": "buy",
            "status": status,
            "signal": {"ts": BEGIN + number, "price": 100.0},
            "entry": {"ts": BEGIN + number, "price": 100.5},
            "live": figures if status == "open" else None,
            "horizons": {"1h": None if net is None else figures, "1d": None},
        }
    )


@pytest.fixture(scope="module")
def store() -> Iterator[duckdb.DuckDBPyConnection]:
    """A store with two signals of IBM and three of AAPL, one of which is open; each had a record before."""
    connection = duckdb.connect()
    migrate(connection)
    for number, net in enumerate((0.01, 0.02, -0.01, 0.04, None)):
        for age, text in enumerate((record(number, "open", None), record(number, "closed", net))):
            newest = record(number, "open", None) if net is None else text
            connection.execute(
                "INSERT INTO performance VALUES (?, to_timestamp(?), ?)", [f"s{number}", age, newest]
            )
    yield connection
    connection.close()


def asked(panel: dict[str, Any], symbol: str) -> dict[str, Any]:
    """The body that Grafana would send, with the variable put in."""
    text = panel["targets"][0]["url_options"]["data"].replace("${symbol}", symbol)
    body: dict[str, Any] = json.loads(text)
    assert body.keys() == {"sql", "parameters"}
    return body


def answer(store: duckdb.DuckDBPyConnection, title: str, symbol: str = "%") -> list[tuple[Any, ...]]:
    body = asked(PANELS[TITLES.index(title)], symbol)
    return store.execute(body["sql"], body["parameters"]).fetchall()


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
def test_it_can_be_installed_anywhere(dashboard: dict[str, Any]) -> None:
    assert dashboard["uid"].startswith("stockpipeline-")
    assert not {"id", "__inputs", "__requires"} & dashboard.keys()
    assert dashboard["editable"] is False
    source, *texts = dashboard["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("replica", "datasource", SOURCE["type"])
    assert {one["type"] for one in texts} == {"textbox"}
    used = set(re.findall(r"\$\{(\w+)\}", json.dumps(dashboard["panels"])))
    assert used == {"replica", *(one["name"] for one in texts)}


@pytest.mark.parametrize("panel", PANELS, ids=TITLES)
def test_a_panel_says_what_it_shows_and_asks_a_replica(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["noValue"] == "no data"
    (target,) = panel["targets"]
    assert panel["datasource"] == target["datasource"] == SOURCE
    assert target["url"] == "http://${pipeline}-replica.${namespace}.svc:8081/query"
    assert target["root_selector"] == "rows"


@pytest.mark.parametrize("panel", PANELS, ids=TITLES)
def test_its_columns_are_those_of_the_answer(panel: dict[str, Any], store: duckdb.DuckDBPyConnection) -> None:
    body = asked(panel, "%")
    kinds = {"string": "VARCHAR", "timestamp_epoch": "BIGINT"}
    columns = panel["targets"][0]["columns"]
    found = store.execute(f"DESCRIBE {body['sql']}", body["parameters"]).fetchall()
    assert [column["selector"] for column in columns] == [str(number) for number in range(len(found))]
    for column, (_, kind, *_more) in zip(columns, found, strict=True):
        assert kind == kinds.get(column["type"], kind)
        if column["type"] == "number":
            assert kind in ("DOUBLE", "BIGINT")


def test_figures_are_by_symbol_with_their_interval(store: duckdb.DuckDBPyConnection) -> None:
    rows = {row[0]: row for row in answer(store, "By symbol, rule and horizon")}
    symbol, rule, horizon, n, hits, low, high, net, mfe, mae = rows["AAPL"]
    assert (symbol, rule, horizon, n, hits) == ("AAPL", "rsi-oversold", "1h", 2, 0.5)
    # Wilson's interval of 1 in 2.
    assert (low, high) == (pytest.approx(0.0945, abs=1e-4), pytest.approx(0.9055, abs=1e-4))
    assert (net, mfe, mae) == (pytest.approx(0.0), pytest.approx(0.02), pytest.approx(-0.01))
    assert rows["IBM"][3:5] == (2, 1.0)


def test_equity_adds_up_what_signals_earned(store: duckdb.DuckDBPyConnection) -> None:
    rows = answer(store, "Equity")
    assert [round(row[2], 10) for row in rows] == [0.01, 0.03, 0.02, 0.06]
    assert {row[1] for row in rows} == {"rsi-oversold 1h"}
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


def test_open_signals_are_those_that_are_not_final(store: duckdb.DuckDBPyConnection) -> None:
    ((ts, symbol, rule, side, entry, *_),) = answer(store, "Open signals")
    assert (ts, symbol, rule, side, entry) == (BEGIN + 4, "AAPL", "rsi-oversold", "buy", 100.5)


@pytest.mark.parametrize("title", TITLES)
def test_a_symbol_can_be_chosen_and_is_never_sql(store: duckdb.DuckDBPyConnection, title: str) -> None:
    all_rows, some = answer(store, title), answer(store, title, "AAPL")
    assert some
    assert len(some) <= len(all_rows)
    assert answer(store, title, "x' OR 1=1 --") == []


def test_every_panel_is_one_of_sql() -> None:
    for board in OF_REPLICAS:
        assert all(isinstance(panel, SqlPanel) and panel.sql for row in board.rows for panel in row.panels)
