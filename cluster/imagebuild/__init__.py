"""The container images of the project, built without Docker and without an image registry.

Each folder `images/NAME` has a Containerfile. Buildah builds it on a small Debian that
mmdebstrap makes here, or on any other base, and writes an archive that containerd and
kind load. An image whose inputs did not change is not built again.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cluster.artifacts import cached
from cluster.imagebuild import base as own_base
from cluster.imagebuild.contexts import CONTEXTS
from cluster.imagebuild.recipes import USUAL, Recipe, chosen
from cluster.imagebuild.registries import Registries
from cluster.imagebuild.store import Store
from cluster.progress import Progress
from cluster.settings import Settings

DEBIAN_PACKAGES = ("buildah", "mmdebstrap", "maven", "openjdk-17-jre-headless")
REPOSITORY = "localhost/stockpipeline"


@dataclass(frozen=True)
class Image:
    """A built image: its full reference, its docker-archive, and the digest of its inputs."""

    name: str
    reference: str
    tar: Path
    digest: str


def build_all(
    settings: Settings,
    progress: Progress,
    names: Iterable[str] = USUAL,
    *,
    base: str | None = None,
    repository: str = REPOSITORY,
) -> list[Image]:
    """Return the named images, having built those whose inputs changed.

    `base` is the reference of a base image to build on (Debian bookworm, pulled if
    need be); without it one is made here. Images are called `repository`/NAME:TAG, TAG
    being the first 12 digits of the digest. Raises `CommandError` with what a failed
    build said.
    """
    lanes = chosen(names)
    base_digest = own_base.digest(settings.repo) if base is None else base
    planned = {
        recipe: _planned(settings, recipe, recipe.digest(settings.repo, base_digest, repository), repository)
        for lane in lanes
        for recipe in lane
    }
    if not all(image.tar.exists() for image in planned.values()):
        with (
            Store.opened(settings.cache / "buildah") as store,
            tempfile.TemporaryDirectory(prefix="stockpipeline-images-") as folder,
        ):
            with progress.step("Make the base image"):
                registries = Registries.of_this_machine()
                base = base or own_base.ensure(store, settings.repo, registries)
            build = functools.partial(
                _build_lane,
                images=planned,
                builder=_Builder(settings, store, base, registries.secrets(Path(folder))),
                progress=progress,
            )
            with ThreadPoolExecutor(max_workers=len(lanes)) as pool:
                for done in [pool.submit(build, lane) for lane in lanes]:
                    done.result()
    return list(planned.values())


def _planned(settings: Settings, recipe: Recipe, digest: str, repository: str) -> Image:
    tar = settings.cache / "images" / recipe.name / digest
    return Image(recipe.name, f"{repository}/{recipe.name}:{digest[:12]}", tar, digest)


@dataclass(frozen=True)
class _Builder:
    settings: Settings
    store: Store
    base: str
    secrets: dict[str, Path]

    def build(self, recipe: Recipe, image: Image) -> None:
        """Build the image and write its archive, unless it is there."""
        cached(
            self.settings.cache / "images", recipe.name, image.digest,
            lambda archive: self._archive(recipe, image, archive),
        )  # fmt: skip
        self.store.forget_others(image.reference.rpartition(":")[0], image.reference)

    def _archive(self, recipe: Recipe, image: Image, archive: Path) -> None:
        repo = self.settings.repo
        self.store.build(
            image.reference,
            repo / recipe.containerfile,
            repo,
            base=self.base,
            contexts={name: CONTEXTS[name](self.settings) for name in recipe.made},
            secrets=self.secrets,
        )
        self.store.save(image.reference, archive)


def _build_lane(
    lane: list[Recipe], *, images: dict[Recipe, Image], builder: _Builder, progress: Progress
) -> None:
    for recipe in lane:
        if not images[recipe].tar.exists():
            with progress.step(f"Build the image {recipe.name}"):
                builder.build(recipe, images[recipe])
