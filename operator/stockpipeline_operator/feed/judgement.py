"""What is said of one aspect of a pipeline's feed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Judgement:
    """One aspect; `holds` is None where it is not known."""

    holds: bool | None
    reason: str
    message: str
