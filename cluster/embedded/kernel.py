"""Kernel settings of the whole machine that the kubelet changes, put back when the cluster goes."""

from __future__ import annotations

import json
from pathlib import Path

# What setupKernelTunables of the kubelet's pkg/kubelet/cm sets; it can only be told to fail instead.
_KUBELET_SETS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def remember(file: Path, proc: Path = Path("/proc/sys")) -> None:
    """Write the settings as they are now to `file`, unless an earlier start did."""
    if file.exists():
        return
    values = {name: (proc / name).read_text().strip() for name in _KUBELET_SETS if (proc / name).exists()}
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps(values))
    temporary.replace(file)


def restore(file: Path, proc: Path = Path("/proc/sys")) -> None:
    """Put back what `remember` wrote, except where someone else has changed a setting since then."""
    if not file.exists():
        return
    for name, before in json.loads(file.read_text()).items():
        if (proc / name).read_text().strip() == _KUBELET_SETS[name] != before:
            (proc / name).write_text(before)
