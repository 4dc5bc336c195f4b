"""Which images there are, and what each is made from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cluster.artifacts import digest_of


@dataclass(frozen=True)
class Recipe:
    """An image: its folder `images/NAME` and the paths (from the repository's root) that go into it."""

    name: str
    inputs: tuple[str, ...] = ()
    made: tuple[str, ...] = ()  # what is made before, by name (`contexts.py`): its build contexts

    @property
    def containerfile(self) -> str:
        """The Containerfile's path from the repository's root."""
        return f"images/{self.name}/Containerfile"

    def digest(self, repo: Path, base: str, repository: str) -> str:
        """Return 64 hex digits over all that the image depends on.

        `base` names the base image by content or reference, `repository` the image
        (a built archive has its name inside). Raises `FileNotFoundError` for a
        missing input.
        """
        paths = [repo / f"images/{self.name}", *(repo / path for path in self.inputs)]
        return digest_of(paths, base, repository)


# Images of one lane are built one after the other, the lanes side by side: services, operator and airflow
# share a layer with Python, kafka and spark one with Java, which the first of them makes.
LANES: tuple[tuple[Recipe, ...], ...] = (
    (
        Recipe("services", ("requirements/services.txt", "requirements/build.txt", "services")),
        Recipe(
            "operator",
            (
                "requirements/operator.txt",
                "requirements/build.txt",
                "services",
                "operator",
                "charts/stockpipeline",
            ),
        ),
        Recipe(
            "airflow",
            ("requirements/airflow.txt", "airflow_dags", "services/stockpipeline/market"),
        ),
    ),
    (
        Recipe("kafka", made=("jars",)),
        Recipe("redis"),
        Recipe("prometheus", made=("discovery",)),
        Recipe(
            "spark",
            ("requirements/spark.txt", "requirements/build.txt", "services", "spark_jobs"),
            made=("pyspark",),
        ),
    ),
)
NAMES = tuple(recipe.name for lane in LANES for recipe in lane)
# What every cluster needs; the others are made where they are asked for.
USUAL = tuple(name for name in NAMES if name not in ("airflow", "spark"))


def chosen(names: Iterable[str]) -> list[list[Recipe]]:
    """Return the lanes with only the named images; raises `ValueError` for a name that is none."""
    wanted = set(names)
    if unknown := sorted(wanted - set(NAMES)):
        raise ValueError(f"no image is called {', '.join(unknown)}; there are {', '.join(NAMES)}")
    lanes = [[recipe for recipe in lane if recipe.name in wanted] for lane in LANES]
    return [lane for lane in lanes if lane]
