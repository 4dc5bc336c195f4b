"""The DAGs of the nightly batch. They run with Airflow's own environment (requirements/airflow.txt)."""
