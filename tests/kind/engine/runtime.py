#!/usr/bin/env python3
"""An OCI runtime that is runc, less the capabilities that this machine withholds even from root.

dockerd asks for every capability in a privileged container. runc cannot give one that is missing from its own
bounding set (CAP_SYS_RESOURCE in some sandboxes) and fails. dockerd calls this program as it would call
runc; it removes what cannot be given from the container's (or the exec's) specification and becomes runc.

Runs by itself with the system's Python: it imports nothing of the project.
"""

import itertools
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

# Linux numbers its capabilities in this order (capability.h); only those a sandbox is known to withhold.
NUMBERS = {"CAP_SYS_MODULE": 16, "CAP_SYS_RAWIO": 17, "CAP_SYS_BOOT": 22, "CAP_SYS_RESOURCE": 24}


def withheld(status: str) -> set[str]:
    """Return which of `NUMBERS` are not in the bounding set that /proc/self/status shows."""
    bounding = int(re.findall(r"^CapBnd:\s*([0-9a-f]+)", status, re.MULTILINE)[0], 16)
    return {name for name, number in NUMBERS.items() if not bounding >> number & 1}


def without(process: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Return an OCI `process` object that asks for none of the named capabilities."""
    sets = process.get("capabilities", {})
    return {**process, "capabilities": {kind: [c for c in sets[kind] if c not in names] for kind in sets}}


def rewrite(arguments: list[str], names: set[str]) -> None:
    """Change the specification that a call to runc names, if it names one."""
    for option, value in itertools.pairwise(arguments):
        if option in ("--bundle", "-b"):
            path = Path(value) / "config.json"
            spec = json.loads(path.read_text())
            path.write_text(json.dumps({**spec, "process": without(spec["process"], names)}))
        elif option in ("--process", "-p"):
            path = Path(value)
            path.write_text(json.dumps(without(json.loads(path.read_text()), names)))


if __name__ == "__main__":
    if missing := withheld(Path("/proc/self/status").read_text()):
        rewrite(sys.argv[1:], missing)
    os.execvp("runc", ["runc", *sys.argv[1:]])
