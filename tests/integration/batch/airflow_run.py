"""Runs in Airflow's own environment: prints what the DAGs are, or what became of a run's tasks, as JSON.

python airflow_run.py list
python airflow_run.py run DAG_ID CONFIGURATION [LOGICAL_DATE]
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag


def main() -> None:
    dags = Path(__file__).resolve().parents[3] / "airflow_dags" / "dags"
    bag = DagBag(dag_folder=dags)
    found: dict[str, Any] = {"errors": {str(path): text for path, text in bag.import_errors.items()}}
    if sys.argv[1] == "list":
        found["dags"] = {
            name: {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}
            for name, dag in bag.dags.items()
        }
    else:
        configuration = json.loads(sys.argv[3])
        words = {"logical_date": datetime.fromisoformat(sys.argv[4])} if len(sys.argv) > 4 else {}
        run = bag.dags[sys.argv[2]].test(run_conf=configuration, **words)
        found["state"] = str(run.state)
        found["tasks"] = {
            f"{one.task_id}[{one.map_index}]": str(one.state) for one in run.get_task_instances()
        }
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
