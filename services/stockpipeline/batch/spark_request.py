"""A request to the engine Spark, and the name of its Job, which follows from it: none is made twice. Pure."""

import json
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import PurePosixPath

from stockpipeline.api import Batch, Indicator
from stockpipeline.market.sessions import session_iso

_NAME = 63 - len("-xxxxx")
"""What Kubernetes leaves of a Job's name in the names of its pods."""


@dataclass(frozen=True)
class SparkVolume:
    """The volume that has the lake, for the driver and all executors at the same path."""

    claim: str
    """Name of a PersistentVolumeClaim; ReadWriteMany where pods run on several nodes."""
    path: PurePosixPath
    """Where pods see it."""

    @classmethod
    def parse(cls, text: str) -> "SparkVolume":
        """Read CLAIM:/PATH; raise ``ValueError``."""
        claim, _, path = text.partition(":")
        if not claim or not path.startswith("/"):
            raise ValueError(f"{text!r} is no volume; write it as CLAIM:/PATH")
        return cls(claim, PurePosixPath(path))


@dataclass(frozen=True)
class SparkRequest:
    """What is to be computed, and by which pods."""

    namespace: str
    pipeline: str
    session: int
    indicators: tuple[Indicator, ...]
    lake: PurePosixPath
    """The lake's folder as pods see it."""
    inputs: str
    """Digest of the lake's bars and actions; empty where they are not in sight."""
    anew: bool
    image: str
    volume: SparkVolume
    terms: Batch
    """Sizes of driver and executors, and where pods may run."""
    service_account: str
    """Account of the driver, which may make pods; the Job goes with it."""
    deadline_seconds: int
    """After this the Job ends, whatever it was at."""

    def __post_init__(self) -> None:
        if self.volume.path not in (self.lake, *self.lake.parents):
            raise ValueError(
                f"the lake {self.lake} is not below {self.volume.path}, where pods see the volume "
                f"{self.volume.claim}"
            )

    @property
    def job_name(self) -> str:
        """The name of the Job: pipeline, session, and a digest of everything else."""
        content = json.dumps(
            [
                [indicator.model_dump_json() for indicator in self.indicators],
                str(self.lake),
                self.inputs,
                self.anew,
                self.image,
                [self.volume.claim, str(self.volume.path)],
                self.terms.model_dump_json(include={"spark", "node_selector", "tolerations"}),
                self.service_account,
                self.deadline_seconds,
            ]
        )
        digest = blake2b(content.encode(), digest_size=5).hexdigest()
        rest = f"-compute-{session_iso(self.session).replace('-', '')}-{digest}"
        return self.pipeline[: _NAME - len(rest)].rstrip("-") + rest
