"""`stockpipeline replica …`: what it says is true, and so is its exit status."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from stockpipeline.cli import main
from tests.integration.store.conftest import World
from tests.integration.store.masters import commit_day, sums_of


class Cli:
    """Runs commands on one world and returns exit status and JSON."""

    def __init__(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.store = world.store.url
        self._capsys = capsys

    def __call__(self, *words: object) -> tuple[int, dict[str, Any]]:
        status = main(["replica", *(str(word) for word in words), "--json"])
        out = self._capsys.readouterr().out
        return status, json.loads(out) if out else {}


@pytest.fixture
def cli(world: World, capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(world, capsys)


def test_the_whole_way(world: World, cli: Cli, tmp_path: Path) -> None:
    for day in range(1, 4):
        sums = commit_day(world.master, day)
        status, said = cli("publish", "--master", world.master, "--store", cli.store)
        assert (status, said["ok"], said["published"], said["generation"]) == (0, True, True, day)
    assert cli("publish", "--master", world.master, "--store", cli.store)[1]["published"] is False
    status, said = cli("pull", "--store", cli.store, "--dir", world.replica)
    assert (status, said["advanced"], said["generation"]) == (0, True, 3)
    assert cli("verify", "--dir", world.replica)[0] == 0
    assert cli("verify", "--store", cli.store)[1]["generations"] == [1, 2, 3]
    assert cli("scrub", "--dir", world.replica, "--store", cli.store)[0] == 0
    out = tmp_path / "out.duckdb"
    status, said = cli("restore", "--store", cli.store, "--generation", 2, "--out", out)
    assert (status, said["generation"]) == (0, 2)
    status, listed = cli("list", "--store", cli.store)
    assert [one["generation"] for one in listed["generations"]] == [1, 2, 3]
    status, said = cli(
        "restore",
        "--store",
        cli.store,
        "--at",
        listed["generations"][2]["published"],
        "--out",
        tmp_path / "at",
    )
    assert (status, said["generation"]) == (0, 3)
    assert sums_of(tmp_path / "at") == sums
    options = ("--store", cli.store, "--keep-hours", 0, "--keep-days", 1, "--keep-months", 0, "--grace", 0)
    assert cli("gc", *options, "--dry-run")[1]["expired"] == [1, 2]
    assert len(cli("list", "--store", cli.store)[1]["generations"]) == 3
    assert cli("gc", *options)[1]["kept"] == [3]
    assert len(cli("list", "--store", cli.store)[1]["generations"]) == 1


def test_what_cannot_be_done_is_said_with_status_1(world: World, cli: Cli, tmp_path: Path) -> None:
    status, said = cli("publish", "--master", tmp_path / "nothing", "--store", cli.store)
    assert (status, said["ok"], said["error"]) == (1, False, "MasterUnusable")
    assert cli("pull", "--store", cli.store, "--dir", world.replica)[1]["error"] == "NothingPublished"
    assert cli("verify", "--dir", world.replica)[1]["error"] == "NoReplica"
    world.publish_and_pull()
    assert cli("restore", "--store", cli.store, "--at", "2020-01-01", "--out", tmp_path / "x")[0] == 1
    assert cli("restore", "--store", cli.store, "--out", world.master)[1]["error"] == "FileExistsError"
    (world.folder / "store" / "blocks").rename(world.folder / "elsewhere")
    status, said = cli("verify", "--store", cli.store)
    assert (status, said["ok"]) == (1, False)
    assert said["problems"]


def test_arguments_that_cannot_be_used_are_status_2(world: World, cli: Cli) -> None:
    assert cli("verify")[0] == 2
    assert cli("list", "--store", "ftp://host/x")[0] == 2
    assert cli("gc", "--store", cli.store, "--keep-days", -1)[0] == 2


def test_following_pulls_what_comes_and_ends_when_told(world: World) -> None:
    world.publish()
    command = [
        sys.executable, "-m", "stockpipeline.cli", "replica", "pull", "--store", world.store.url,
        "--dir", str(world.replica), "--follow", "--interval", "0.05", "--json",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        assert json.loads(follower.stdout.readline())["generation"] == 1
        assert world.publish() == 2
        assert json.loads(follower.stdout.readline())["generation"] == 2
        (world.folder / "store").rename(world.folder / "gone")
        assert json.loads(follower.stdout.readline())["ok"] is False
        (world.folder / "gone").rename(world.folder / "store")
        assert world.publish() == 3
        assert json.loads(follower.stdout.readline())["generation"] == 3
        follower.send_signal(signal.SIGTERM)
        assert follower.wait(30) == 0


def test_serving_answers_sql_and_ends_when_told(world: World) -> None:
    world.publish_and_pull()
    command = [
        sys.executable, "-m", "stockpipeline.cli", "replica", "serve", "--dir", str(world.replica),
        "--listen", "127.0.0.1:0", "--json",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = json.loads(server.stdout.readline())["port"]
        query = urllib.parse.urlencode({"sql": "SELECT count(*) AS n FROM bars"})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/query?{query}") as response:
            assert json.load(response)["rows"] == [[200]]
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
