"""An embedded cluster of the benchmark's own, with the product on it as `make up` installs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import deploy
from cluster.embedded.node import EmbeddedNode
from cluster.progress import Progress
from cluster.shell import run, wait_until
from tests.performance.own_node import own_node

NAME = "stockpipeline-bench-replica"
_READY_SECONDS = 300.0


@dataclass(frozen=True)
class ProductCluster:
    """The running product."""

    node: EmbeddedNode

    def kubectl(self, *words: str, stdin: str | None = None, seconds: float = 120) -> str:
        """Run kubectl; return its output."""
        command: list[str | Path] = [self.node.kubectl, "--kubeconfig", self.node.kubeconfig, *words]
        return run(command, input=stdin, timeout=seconds).stdout

    def apply(self, resource: dict[str, Any]) -> None:
        """Apply a StockPipeline and wait until it is ready."""
        self.kubectl("apply", "--filename", "-", stdin=json.dumps(resource))
        key = resource["metadata"]["namespace"], resource["metadata"]["name"]
        wait_until(
            lambda: deploy.is_ready(self.node, *key),
            _READY_SECONDS,
            f"StockPipeline {'/'.join(key)} is ready",
        )


@contextmanager
def product_cluster(progress: Progress) -> Iterator[ProductCluster]:
    """A new cluster; taken away at the end, whatever happens."""
    with own_node(NAME, (*deploy.SERVERS, "services"), progress) as made:
        deploy.product(made.settings, made.node, made.images, progress)
        yield ProductCluster(made.node)
