"""The engine Spark in pods: the bytes of the engine Local, though an executor and the driver are killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cluster.shell import wait_until
from stockpipeline.batch.lake import part_of
from tests.e2e.conftest import Deployment
from tests.spark.desk import PATIENCE, WORDS, Desk

HELD = f"part-{part_of('AAPL'):02d}.parquet"
# An executor that comes to this part waits for what nobody writes into the pipe: it can be killed at work.
HOLD = f"cd /data && mv lake/bars/{HELD} real && mkfifo lake/bars/{HELD} && ln lake/bars/{HELD} pipe"
# From now on the file is there; whoever has the pipe open already gets the same bytes out of it.
RELEASE = f"""
import errno, os, shutil, time
bars = "/data/lake/bars/{HELD}"
shutil.copyfile("/data/real", "/data/lake/bars/new")
os.replace("/data/lake/bars/new", bars)
while True:
    try:
        pipe = os.open("/data/pipe", os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:  # nobody reads
            raise
    else:
        os.set_blocking(pipe, True)
        with open(pipe, "wb") as out, open(bars, "rb") as content:
            shutil.copyfileobj(content, out)
    time.sleep(0.2)
"""


@pytest.mark.timeout(1800)
def test_kills_change_no_byte(deployment: Deployment, namespace: str, tmp_path: Path) -> None:
    desk = Desk(deployment, namespace)
    for step in ("collect", "download", "merge"):
        desk.batch(step, *WORDS)
    desk.run("cp", "-r", "/data/lake", "/data/copy")
    desk.batch("compute", "--engine", "local", "--config", "/data/pipeline.json", "--lake", "/data/copy")
    desk.run("sh", "-c", HOLD)

    asked = [desk.spark(tmp_path) for _ in range(2)]
    try:
        wait_until(lambda: bool(desk.at_work()), PATIENCE, "Spark is at work")
        (first,) = desk.at_work()
        name = first["metadata"]["name"]
        pages = f"/api/v1/namespaces/{namespace}/pods/{name}:4040/proxy/api/v1/applications"
        (application,) = json.loads(deployment.kubectl("get", "--raw", pages))
        assert application["name"] == "compute-indicators"
        executors = desk.pods("spark-executor")
        (executor,) = executors.values()
        desk.kill(executor)
        second = desk.await_new("spark-executor", set(executors))
        assert second["metadata"]["ownerReferences"][0]["uid"] == first["metadata"]["uid"]

        desk.kill(first)
        wait_until(lambda: bool(desk.at_work()), PATIENCE, "another driver is at work")
        (driver,) = desk.at_work()
        assert driver["metadata"]["uid"] != first["metadata"]["uid"]

        def owners() -> set[str]:
            found = desk.pods("spark-executor").values()
            return {pod["metadata"]["ownerReferences"][0]["uid"] for pod in found}

        left = "the executor of the killed driver is gone with it"
        wait_until(lambda: owners() == {driver["metadata"]["uid"]}, PATIENCE, left)
        desk.run("sh", "-c", 'nohup python3 -c "$0" >/dev/null 2>&1 &', RELEASE)
        reports = [json.loads(one.communicate(timeout=PATIENCE)[0].splitlines()[-1]) for one in asked]
    finally:
        for one in asked:
            one.kill()
            one.wait()

    assert [one.returncode for one in asked] == [0, 0]
    assert reports[0] == reports[1], "both have followed one Job"
    assert reports[0]["ok"] is True
    assert reports[0]["drivers"] >= 2
    assert reports[0]["parts"] + reports[0]["unchanged"] == 64
    (job,) = deployment.get("jobs", "--namespace", namespace)["items"]
    assert job["metadata"]["name"] == reports[0]["job"]
    assert desk.digests("lake") == desk.digests("copy")
    assert len(desk.run("ls", "/data/spark-events").split()) >= 2, "each driver keeps its event log"
    wait_until(lambda: not desk.pods("spark-executor"), PATIENCE, "no executor is left behind")

    again = desk.batch("compute", "--engine", "spark", *WORDS)
    assert (again["parts"], again["unchanged"]) == (0, 64), "what is done needs no pods"
