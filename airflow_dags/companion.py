"""Runs beside Airflow: brings it the pipelines of the cluster, and pauses the DAGs of suspended ones.

    python -m airflow_dags.companion

Every few seconds it compares what is with what should be, so nothing that it missed matters. A pipeline is
read again when its resource has changed, or its release: the operator notes each new one in the resource's
status.

| variable | what it is |
|---|---|
| STOCKPIPELINE_BATCHES | the folder in which Airflow's DAG processor finds a file for each pipeline |
| STOCKPIPELINE_NAMESPACES | namespaces of the pipelines, separated by commas; empty: all |
| STOCKPIPELINE_AIRFLOW_URL | address of Airflow's API |
| STOCKPIPELINE_AIRFLOW_USER, …_PASSWORD | who it is there, where that asks; it reads and pauses DAGs |
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from pathlib import Path

from airflow_dags.airflow_api import AirflowApi, AirflowUnavailable, Login
from airflow_dags.discovery import Discovery
from airflow_dags.kube import Kube, KubeError
from airflow_dags.pause import bring_to
from airflow_dags.probes import Probes

_log = logging.getLogger("companion")
_EVERY_SECONDS = 5.0


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    folder = Path(os.environ["STOCKPIPELINE_BATCHES"])
    namespaces = [name for name in os.environ.get("STOCKPIPELINE_NAMESPACES", "").split(",") if name]
    discovery = Discovery(Kube.of_this_pod(), folder, namespaces)
    airflow = AirflowApi(os.environ["STOCKPIPELINE_AIRFLOW_URL"], _login())
    with Probes(airflow) as probes:
        while not stop.is_set():
            try:
                pipelines = discovery.bring()
                probes.read(len(pipelines))
                bring_to(airflow, pipelines)
            except (KubeError, OSError) as error:
                _log.warning("the Kubernetes API: %s", error)
            except AirflowUnavailable as error:
                _log.info("Airflow's API: %s", error)
            stop.wait(_EVERY_SECONDS)
    return 0


def _login() -> Login | None:
    user = os.environ.get("STOCKPIPELINE_AIRFLOW_USER", "")
    return Login(user, os.environ["STOCKPIPELINE_AIRFLOW_PASSWORD"]) if user else None


if __name__ == "__main__":
    raise SystemExit(main())
