"""Where Airflow finds the DAGs: two for each pipeline that there is a file of."""

from airflow_dags.factory import make_daily_pipeline, make_watchlist_sync
from airflow_dags.pipeline import pipelines

for _pipeline in pipelines():
    for _dag in (make_daily_pipeline(_pipeline), make_watchlist_sync(_pipeline)):
        globals()[_dag.dag_id] = _dag
