"""Take a cluster away, whatever state it is in: whole, half-made, or half-removed."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from cluster.embedded import cni, containerd, kernel, mounts
from cluster.embedded.cgroups import ControlGroup
from cluster.embedded.layout import Layout
from cluster.embedded.namespace import Namespace
from cluster.embedded.processes import Processes
from cluster.shell import wait_until

# Places that their programs have no setting for: one of containerd's, two of the kubelet's.
_SHIM_SOCKETS = Path("/run/containerd/s")
_LOG_LINKS = Path("/var/log/containers")
_DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")


def end_processes(processes: Processes, group: ControlGroup, namespace: Namespace) -> None:
    """Kill all programs, containers and whatever else lives in the node's namespace."""
    processes.stop(*processes.names(), grace=0)  # nothing of theirs is kept
    group.kill()
    if namespace.exists():
        wait_until(
            lambda: not _kill_all(namespace.pids()), 30, f"all processes of {namespace.path} have ended"
        )


def remove_traces(name: str, layout: Layout, group: ControlGroup, namespace: Namespace) -> None:
    """Remove mounts, control groups, the namespace, folders, and what the programs leave elsewhere."""
    containerd.remove_dead_sockets(layout.containerd_state)
    mounts.release([layout.state, layout.run])
    namespace.delete()
    group.remove()
    cni.forget(name)
    _remove_log_links(layout.pod_logs)
    kernel.restore(layout.kernel_settings)
    for folder in (layout.run, layout.state):
        mounts.remove_folder(folder)
    _remove_device_plugin_folder()
    for shared in (_SHIM_SOCKETS, _SHIM_SOCKETS.parent, layout.run.parent, layout.state.parent):
        with contextlib.suppress(OSError):  # missing, or in use by others
            shared.rmdir()


def _kill_all(pids: list[int]) -> list[int]:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return pids


def _remove_log_links(pod_logs: Path, links: Path = _LOG_LINKS) -> None:
    if not links.is_dir():
        return
    for link in links.iterdir():
        if link.is_symlink() and link.readlink().is_relative_to(pod_logs):
            link.unlink()
    with contextlib.suppress(OSError):
        links.rmdir()


def _remove_device_plugin_folder(folder: Path = _DEVICE_PLUGINS) -> None:
    """Remove the folder that every kubelet of a machine shares, unless one still serves there."""
    endpoint = folder / "kubelet.sock"
    if containerd.listens(endpoint):
        return
    for name in (endpoint.name, "kubelet_internal_checkpoint"):
        (folder / name).unlink(missing_ok=True)
    for parent in (folder, folder.parent):
        with contextlib.suppress(OSError):
            parent.rmdir()
