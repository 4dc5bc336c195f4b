"""An open exchange at any hour: producers that live in its last session, and stand-ins that trade in it.

A producer's clock is set back by a module that Python loads when it starts. It is put into the pod's
temporary folder, and the container started again; the rest of the pipeline lives now.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from cluster import demo
from cluster.settings import REPO
from cluster.shell import wait_until
from stockpipeline.market.exchange_hours import ExchangeHours
from tests.e2e.conftest import Deployment

NAMESPACE = "alerts-market"
CREDENTIALS = "kis"
# Half days have three and a half hours.
_BEFORE_CLOSE = timedelta(hours=3)
_PATIENCE = 120.0
# In the pods of producers that have it as their PYTHONPATH.
FOLDER = "/tmp"
_LIVE_BACK = """
import time
_now, _now_ns = time.time, time.time_ns
time.time = lambda: _now() + {seconds}
time.time_ns = lambda: _now_ns() + int({seconds} * 1e9)
"""


def ahead() -> float:
    """How many seconds the last session is ahead of now: less than none."""
    now = datetime.now(UTC)
    return (ExchangeHours.of("XNAS").last_close(now) - _BEFORE_CLOSE - now).total_seconds()


def source(name: str, **options: Any) -> dict[str, Any]:
    """KIS as a source of a pipeline, at the stand-in of this name."""
    host = f"{name}.{NAMESPACE}.svc:{demo.PORT}"
    kis = {
        "credentials": [{"secretRef": {"name": CREDENTIALS}}],
        "restUrl": f"http://{host}",
        "websocketUrl": f"ws://{host}/tryitout",
        "staleAfter": "10s",
        **options,
    }
    return {"name": "kis", "kis": kis}


def manifests(image: str, namespace: str, seconds: float) -> list[dict[str, Any]]:
    """Stand-ins for KIS in the session that is `seconds` ahead: one that works, and one with faults; and the
    credentials of pipelines in the namespace.
    """
    code = {path.name: path.read_text() for path in sorted((REPO / "tests/stand_ins").glob("*.py"))}
    well = [{"at": 0, "set": {"skew_seconds": seconds}}]
    broken = [{"at": 0, "set": {"skew_seconds": seconds, "half_frames": True, "rest_status": 429}}]
    scenarios = {"kis.json": json.dumps(well), "broken-kis.json": json.dumps(broken)}
    stand_ins = [one for name in ("kis", "broken-kis") for one in _stand_in(name, image)]
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": demo.CODE, "namespace": NAMESPACE},
            "data": code | scenarios,
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": CREDENTIALS, "namespace": namespace},
            "stringData": demo.SECRET,
        },
        *stand_ins,
    ]


def _stand_in(name: str, image: str) -> list[dict[str, Any]]:
    deployment, service = demo.stand_in("kis", image)
    labels = {"app.kubernetes.io/name": "stand-in", "app.kubernetes.io/component": name}
    for one in (deployment, service):
        one["metadata"] = {"name": name, "namespace": NAMESPACE, "labels": labels}
    deployment["spec"]["selector"]["matchLabels"] = labels
    deployment["spec"]["template"]["metadata"]["labels"] = labels
    service["spec"]["selector"] = labels
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    container["args"] = [*container["args"], "--scenario", f"tests/stand_ins/{name}.json"]
    return [deployment, service]


def open_for(deployment: Deployment, namespace: str, pipeline: str, seconds: float) -> None:
    """Set the clock of a pipeline's producer, and wait until it says that the exchange is open."""
    target = f"deployment/{pipeline}-producer"
    program = (
        "import os, pathlib, sys;"
        f"pathlib.Path('{FOLDER}/sitecustomize.py').write_text(sys.argv[1]); os.kill(1, 15)"
    )
    text = _LIVE_BACK.format(seconds=seconds)
    deployment.kubectl(
        "exec", "--namespace", namespace, target, "--container", "producer", "--",
        "python3", "-c", program, text, check=False,
    )  # fmt: skip
    labels = f'namespace="{namespace}", pipeline="{pipeline}"'
    wait_until(
        lambda: deployment.value(f"stockpipeline_producer_session_open{{{labels}}}") == 1,
        _PATIENCE,
        f"the exchange is open for {namespace}/{pipeline} at {time.ctime(time.time() + seconds)}",
    )
