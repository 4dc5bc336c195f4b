"""Buildah with a storage of its own: where images are built before they become archives."""

from __future__ import annotations

import contextlib
import fcntl
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from cluster.shell import CommandError, run

# Runs build commands without a container runtime, so also inside a container or a sandbox.
_ENVIRONMENT = {"BUILDAH_ISOLATION": "chroot"}


class Store:
    """Buildah's images and layers below `folder`; use it inside `opened()`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path) -> Iterator[Store]:
        """Yield the storage below `folder` for this process alone; another one waits."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file closes, also by a crash
            store = cls(folder)
            store._buildah("rm", "--all")  # what a killed build left, mounts included
            yield store

    def has(self, reference: str) -> bool:
        """Tell whether the storage has the image."""
        return self._buildah("inspect", "--type", "image", reference, check=False) == 0

    def build(
        self,
        reference: str,
        containerfile: Path,
        context: Path,
        *,
        base: str | None = None,
        contexts: Mapping[str, Path] | None = None,
        secrets: Mapping[str, Path] | None = None,
    ) -> None:
        """Build the image `reference`; unchanged steps come from earlier builds.

        `contexts` are more build contexts by name. Raises `CommandError` with the
        end of what the failed step said.
        """
        options = [f"--file={containerfile}", f"--tag={reference}", "--layers", "--network=host", "--quiet"]
        if base is not None:
            options.append(f"--build-arg=BASE={base}")
        options += [f"--build-context={name}={path}" for name, path in (contexts or {}).items()]
        options += [f"--secret=id={name},src={path}" for name, path in (secrets or {}).items()]
        with tempfile.NamedTemporaryFile("r", dir=self._folder, errors="replace") as log:
            # The commands of a build complain on standard output too: only the log has all in order.
            status = self._buildah("build", f"--logfile={log.name}", *options, str(context), check=False)
            if status != 0:
                raise CommandError(
                    ["buildah", "build", str(containerfile)], f"exit code {status}", log.read()
                )

    def save(self, reference: str, archive: Path) -> None:
        """Write the image as a docker-archive, the form that containerd and kind load."""
        self._buildah("push", "--quiet", reference, f"docker-archive:{archive}:{reference}")

    def forget_others(self, repository: str, reference: str) -> None:
        """Remove the earlier versions of `repository`; layers that `reference` shares with them stay."""
        listed = run(
            [*self._command(), "images", "--format={{.Name}}:{{.Tag}}", f"--filter=reference={repository}:*"],
            env=_ENVIRONMENT,
        ).stdout.split()
        if old := [image for image in listed if image != reference]:
            self._buildah("rmi", *old)

    def _buildah(self, *arguments: str, check: bool = True) -> int:
        # Layers are staged beside the storage, not in a /tmp that may be small.
        with tempfile.TemporaryDirectory(dir=self._folder) as staging:
            environment = {**_ENVIRONMENT, "TMPDIR": staging}
            return run([*self._command(), *arguments], env=environment, check=check).returncode

    def _command(self) -> list[str]:
        driver = _driver(self._folder)
        command = ["buildah", f"--root={self._folder / 'storage'}", f"--runroot={self._folder / 'run'}"]
        command.append(f"--storage-driver={driver}")
        if driver == "overlay":
            # Else the storage stays mounted on itself, and its folder cannot be removed.
            command.append("--storage-opt=overlay.skip_mount_home=true")
        return command


def _driver(folder: Path) -> str:
    """Return "overlay", or "vfs" (four times slower) where the file system cannot carry overlays."""
    kind = run(["findmnt", "--noheadings", "--output=FSTYPE", f"--target={folder}"]).stdout.strip()
    return "vfs" if kind in ("overlay", "tmpfs") else "overlay"
