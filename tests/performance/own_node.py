"""An embedded cluster of a benchmark's own, with the images that it needs and nothing else on it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cluster import deploy, imagebuild, prerequisites
from cluster.embedded.node import EmbeddedNode
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.up import exclusive


@dataclass(frozen=True)
class OwnNode:
    """The cluster, how it was chosen, and the images that it has."""

    settings: Settings
    node: EmbeddedNode
    images: Mapping[str, imagebuild.Image]


@contextmanager
def own_node(name: str, images: Sequence[str], progress: Progress) -> Iterator[OwnNode]:
    """A new cluster of that name; taken away at the end, whatever happens."""
    settings = Settings.from_environment({**os.environ, "CLUSTER": "node", "CLUSTER_NAME": name})
    prerequisites.check(settings)
    built = {image.name: image for image in imagebuild.build_all(settings, progress, images)}
    with exclusive(settings):
        node = EmbeddedNode(settings)
        node.down(progress)  # what a killed run may have left
        try:
            node.up(progress)
            with progress.step("Load the images"), deploy.ImageLoading(node, built) as loading:
                loading.wait_for(*built)
            yield OwnNode(settings, node, built)
        finally:
            node.down(progress)
