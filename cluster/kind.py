"""A cluster of Docker containers, made by kind from `kind-config.yaml`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from cluster.embedded import mounts
from cluster.progress import Progress
from cluster.settings import FIRST_API_PORT, FIRST_PROMETHEUS_PORT, Settings
from cluster.shell import CommandError, run, wait_until

CONFIG = Path("kind-config.yaml")
# Of kind v0.32; the same Kubernetes as the embedded node. `NODE_IMAGE` in the environment names another one.
NODE_IMAGE = "kindest/node:v1.34.8"

_CREATE_LIMIT = 900.0  # seconds; it may have to download the node image
_READY_LIMIT = 180.0
_LOAD_LIMIT = 600.0


class KindCluster:
    """One kind cluster; it bears the name of the settings.

    A file in the state folder tells what the cluster is made from, and whether its creation came to its end.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._node_image = os.environ.get("NODE_IMAGE") or NODE_IMAGE
        self._record = settings.state / "kind.json"

    @property
    def kubectl(self) -> Path:
        """The kubectl on the PATH."""
        return Path(shutil.which("kubectl") or "kubectl")

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; the user's own is left alone."""
        return self._settings.kubeconfig

    def up(self, progress: Progress) -> None:
        """Create the cluster, start it again after a reboot, or leave a healthy one as it is.

        Raises `RuntimeError` with what to do where a cluster that once worked does not get Ready.
        """
        name = self._settings.name
        if self._exists() and self._made_from().get("complete") is False:
            with progress.step(f"Remove the half-made kind cluster {name}"):
                self._delete()
        if not self._exists():
            with progress.step(f"Create the kind cluster {name} from {CONFIG} with {self._node_image}"):
                self._create()
            return
        if self._made_from() not in ({}, self._recipe()):
            progress.note(f"{CONFIG} or NODE_IMAGE changed; `make down` and `make up` apply it to {name}")
        if not (self.running() and self._nodes_ready()):
            with progress.step(f"Start the kind cluster {name} again"):
                self._start()

    def down(self, progress: Progress) -> None:
        """Delete the cluster, or what there is of it, and its state."""
        with progress.step(f"Delete the kind cluster {self._settings.name}"):
            if shutil.which("kind"):
                self._delete()
            for folder in (self._settings.state, self._settings.run):
                mounts.remove_folder(folder)

    def running(self) -> bool:
        """Whether the API server says that it is ready."""
        with contextlib.suppress(CommandError):
            return self._kubectl("get", "--raw", "/readyz", timeout=10).strip() == "ok"
        return False

    def images(self) -> set[str]:
        """The references of all images that every node for ordinary pods has."""
        listed = [
            run(["docker", "exec", node, "ctr", "--namespace", "k8s.io", "images", "list", "--quiet"])
            for node in self._workers()
        ]
        return set.intersection(*(set(one.stdout.split()) for one in listed)) if listed else set()

    def load_image(self, tar: Path, reference: str) -> None:
        """Load a docker-archive file into every node for ordinary pods.

        Raises `ValueError` where the nodes do not have `reference` afterwards.
        """
        run(
            ["kind", "load", "image-archive", tar, "--name", self._settings.name,
             "--nodes", ",".join(self._workers())],
            timeout=_LOAD_LIMIT,
        )  # fmt: skip
        if reference not in self.images():
            raise ValueError(
                f"{tar}: holds no image {reference}; remove the file, then `make up` builds it anew"
            )

    def expose(self, local_port: int, node_port: int) -> None:
        """Check that `kind-config.yaml` publishes the NodePort here: kind does it at creation only.

        Raises `RuntimeError` where another port, or none, was given to the cluster when it was made.
        """
        said = run(
            ["docker", "port", f"{self._settings.name}-control-plane", f"{node_port}/tcp"], check=False
        )
        if f"127.0.0.1:{local_port}" not in said.stdout.split():
            raise RuntimeError(
                f"kind cluster {self._settings.name}: NodePort {node_port} is not at 127.0.0.1:{local_port} "
                f"but at {said.stdout.strip() or 'no port'}; run `make down` and `make up` to make it so"
            )

    def serves(self, local_port: int) -> bool:
        """Whether the cluster is there: all ports of its containers are given to them at creation."""
        return local_port in (self._settings.api_port, self._settings.prometheus_port) and self._exists()

    def _create(self) -> None:
        self._settings.state.mkdir(parents=True, exist_ok=True)
        self._record.write_text(json.dumps({"complete": False}))
        run(
            ["kind", "create", "cluster", "--name", self._settings.name, "--config", "-",
             "--image", self._node_image, "--kubeconfig", self.kubeconfig],
            input=self._config(),
            timeout=_CREATE_LIMIT,
        )  # fmt: skip
        wait_until(
            self._nodes_ready, _READY_LIMIT, f"the nodes of kind cluster {self._settings.name} are Ready"
        )
        self._record.write_text(json.dumps(self._recipe()))

    def _start(self) -> None:
        name = self._settings.name
        run(["docker", "start", *self._nodes()], timeout=120)
        run(["kind", "export", "kubeconfig", "--name", name, "--kubeconfig", self.kubeconfig])
        try:
            wait_until(lambda: self.running() and self._nodes_ready(), _READY_LIMIT, "ready")
        except TimeoutError as error:
            raise RuntimeError(
                f"kind cluster {name}: its nodes are not Ready after {_READY_LIMIT:g} s; look with "
                f"`docker logs {name}-control-plane`, or make it anew with `make down` and `make up`"
            ) from error

    def _delete(self) -> None:
        run(["kind", "delete", "cluster", "--name", self._settings.name, "--kubeconfig", self.kubeconfig])
        self._record.unlink(missing_ok=True)

    def _exists(self) -> bool:
        return self._settings.name in run(["kind", "get", "clusters"]).stdout.split()

    def _nodes(self) -> list[str]:
        return run(["kind", "get", "nodes", "--name", self._settings.name]).stdout.split()

    def _workers(self) -> list[str]:
        """Return the nodes that take ordinary pods: kind taints a control plane that has workers."""
        nodes = self._nodes()
        control_plane = f"{self._settings.name}-control-plane"
        return [node for node in nodes if not node.startswith(control_plane)] or nodes

    def _nodes_ready(self) -> bool:
        with contextlib.suppress(CommandError):
            nodes = json.loads(self._kubectl("get", "nodes", "--output", "json", timeout=10))["items"]
            return len(nodes) == len(self._nodes()) and all(_is_ready(node) for node in nodes)
        return False

    def _kubectl(self, *arguments: str, timeout: float) -> str:
        return run([self.kubectl, "--kubeconfig", self.kubeconfig, *arguments], timeout=timeout).stdout

    def _config(self) -> str:
        return with_ports((self._settings.repo / CONFIG).read_text(), self._settings)

    def _recipe(self) -> dict[str, Any]:
        return {"complete": True, "config": self._config(), "image": self._node_image}

    def _made_from(self) -> dict[str, Any]:
        """Return the recorded recipe; empty for a cluster that someone else made with kind."""
        try:
            recorded: dict[str, Any] = json.loads(self._record.read_text())
        except FileNotFoundError:
            return {}
        except ValueError:  # torn by a crash in the middle of the creation
            return {"complete": False}
        return recorded


def with_ports(config: str, settings: Settings) -> str:
    """Return a kind configuration with the ports that this cluster has on the machine's loopback.

    The file's own ports are those of the default cluster. The API's and Prometheus's become those of the
    settings; the others move by the cluster's slot, so that two clusters can run at once.
    """
    chosen = {FIRST_API_PORT: settings.api_port, FIRST_PROMETHEUS_PORT: settings.prometheus_port}

    def moved(match: re.Match[str]) -> str:
        port = int(match[2])
        return f"{match[1]}{chosen.get(port, port + settings.slot)}"

    return re.sub(r"((?:hostPort|apiServerPort): )(\d+)", moved, config)


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node["status"]["conditions"]
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
