"""What a revision of a release is made of, and the labels that say so of it."""

from dataclasses import dataclass

from stockpipeline.api import GROUP
from stockpipeline_operator.helm.chart import PipelineChart, Values

DIGEST_LABEL = f"{GROUP}/digest"
BASE_LABEL = f"{GROUP}/base"
GENERATION_LABEL = f"{GROUP}/generation"


@dataclass(frozen=True)
class Ingredients:
    """What a revision of a release is made of."""

    namespace: str
    name: str
    chart: PipelineChart
    values: Values
    digest: str
    """Of chart and values."""
    base: str
    """Digest of what the operator brought to it."""
    generation: int
    """Generation of the spec that it is for."""

    @property
    def labels(self) -> dict[str, str]:
        """What can be read of the revision without decoding it."""
        return labels_of(self.digest, self.base, self.generation)


def labels_of(digest: str, base: str, generation: int) -> dict[str, str]:
    """The labels of a revision's Secret besides Helm's own."""
    return {DIGEST_LABEL: digest, BASE_LABEL: base, GENERATION_LABEL: str(generation)}
