"""Installs or upgrades one chart as a Helm release, only if something changed.

Runs in `.venv` (`python -m cluster.helm_release`), because it needs the Helm
SDK: no `helm` program has to be on the machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import helm_python

from cluster.artifacts import digest_of

# Helm keeps it with the release; label values hold at most 63 characters.
DIGEST_LABEL = "stockpipeline.dev/digest"
HISTORY_LIMIT = 5


def release_digest(chart: Path, values: dict[str, Any]) -> str:
    """Return what decides whether a release is up to date: the chart's files and the values."""
    canonical = json.dumps(values, sort_keys=True)
    return hashlib.sha256(f"{digest_of([chart])}\n{canonical}".encode()).hexdigest()[:40]


def ensure(config: helm_python.Config, chart: Path, name: str, namespace: str, values: dict[str, Any]) -> str:
    """Bring the release to `chart` and `values`; return "unchanged", "installed" or "upgraded".

    A release that a killed run left half-made is healed first: one that never was
    deployed is removed, one whose upgrade was cut off goes back to its last good
    revision (Helm refuses to upgrade over a `pending-*` one).
    """
    labels = {DIGEST_LABEL: release_digest(chart, values)}
    try:
        status = config.status(name)["status"]
    except helm_python.HelmNotFoundError:
        status = "absent"
    if (
        status == "deployed"
        and config.get_metadata(name).get("labels", {}).get(DIGEST_LABEL) == (labels[DIGEST_LABEL])
    ):
        return "unchanged"
    if status not in ("absent", "deployed"):
        good = [
            revision["revision"]
            for revision in config.history(name)
            if revision["status"] in ("deployed", "superseded")
        ]
        if good:
            config.rollback(name, version=good[-1])
        else:
            config.uninstall(name)
            status = "absent"
    if status == "absent":
        config.install(chart, name, values, namespace=namespace, labels=labels)
        return "installed"
    config.upgrade(chart, name, values, reset_values=True, max_history=HISTORY_LIMIT, labels=labels)
    return "upgraded"


def main() -> int:
    """Read the values as JSON from standard input and bring the release up to date."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kubeconfig", required=True, type=Path)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--chart", required=True, type=Path)
    parser.add_argument("--name", required=True)
    arguments = parser.parse_args()
    values: dict[str, Any] = json.load(sys.stdin)
    try:
        with helm_python.Config(
            kubeconfig_path=arguments.kubeconfig, namespace=arguments.namespace
        ) as config:
            outcome = ensure(config, arguments.chart, arguments.name, arguments.namespace, values)
    except helm_python.HelmError as error:
        print(f"release {arguments.name} of {arguments.chart.name}: {error}", file=sys.stderr)
        return 1
    print(outcome)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
