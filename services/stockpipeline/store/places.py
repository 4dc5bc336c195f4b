"""Where a pipeline's store and replicas are: files of a machine or pod, and the object store between them."""

from pathlib import Path

from stockpipeline.api import PipelineConfig
from stockpipeline.runtime.settings import data_folder


def master_file() -> Path:
    """Return the path of the master, which its writer alone opens."""
    return data_folder() / "store" / "master.duckdb"


def replica_folder() -> Path:
    """Return the folder of this machine's replica."""
    return data_folder() / "replica"


def generations_url(config: PipelineConfig) -> str:
    """Return the URL of the object store; without one in the resource, a folder beside the master."""
    asked = config.spec.replica_sync.url if config.spec.replica_sync is not None else None
    return asked if asked is not None else f"file://{data_folder()}/store/generations"
