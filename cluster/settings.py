"""What is chosen from outside about a cluster: its name, its kind, its folders and its ports on loopback.

The choice comes from the environment (`CLUSTER_NAME`, `CLUSTER`, `EGRESS`, `SOURCE`, `SPARK`, `AIRFLOW`,
`API_PORT`, `PROMETHEUS_PORT`). What a cluster was first made with is remembered in its state folder, so that
a later `status` or `down` without those variables speaks of the same one.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

Kind = Literal["node", "kind"]
Source = Literal["replay", "kis-demo"]

DEFAULT_NAME = "stockpipeline"
REPO = Path(__file__).resolve().parent.parent
STATE_ROOT = Path("/var/lib/stockpipeline")
RUN_ROOT = Path("/run/stockpipeline")
# Also the name of a network namespace, of a cgroup, and part of file names.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
# Of the default cluster, also in kind-config.yaml; other clusters have them moved by their slot.
FIRST_API_PORT = 16443
FIRST_PROMETHEUS_PORT = 19090
_SLOTS = 1000


class SettingsError(ValueError):
    """A choice that cannot be; says which, its value, and what it may be."""


@dataclass(frozen=True)
class Settings:
    """One local cluster.

    `state` survives a reboot, `run` (sockets, pid files) need not; `cache` is shared by all clusters and
    clones. `api_port` and `prometheus_port` are on the loopback of this machine.
    """

    name: str
    kind: Kind
    egress: bool
    cache: Path
    state: Path
    run: Path
    repo: Path
    api_port: int
    prometheus_port: int
    source: Source = "replay"
    """What example pipelines `make up` brings: a replay, and with kis-demo also live quotes of stand-ins."""
    spark: bool = False
    """Whether `make up` brings the image of the batch's engine Spark, which takes minutes to build."""
    airflow: bool = False
    """Whether Airflow is among the backends, which pipelines with a batch need."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, which reaches the API through loopback."""
        return self.state / "admin.kubeconfig"

    @property
    def slot(self) -> int:
        """A number that keeps the ports and addresses of two clusters apart: 0 for the default name."""
        return slot_of(self.name)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the choice from the environment, then from what the cluster was made with, then the defaults.

        Raises `SettingsError` with the variable's name and what it may be.
        """
        env = os.environ if environment is None else environment
        name = env.get("CLUSTER_NAME") or DEFAULT_NAME
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"CLUSTER_NAME={name!r}: use 1 to 40 lower-case letters, digits and dashes, "
                "with a letter or digit at both ends"
            )
        state = STATE_ROOT / name
        remembered = _remembered(state)
        home = Path(env.get("XDG_CACHE_HOME") or Path(env.get("HOME") or "/root") / ".cache")
        slot = slot_of(name)
        return cls(
            name=name,
            kind=_kind(env, remembered),
            egress=_switch(env, "EGRESS", "let pods reach the outside"),
            cache=home / "stockpipeline",
            state=state,
            run=RUN_ROOT / name,
            repo=REPO,
            api_port=_port(env, "API_PORT", remembered, FIRST_API_PORT + slot),
            prometheus_port=_port(env, "PROMETHEUS_PORT", remembered, FIRST_PROMETHEUS_PORT + slot),
            source=_source(env),
            spark=_switch(env, "SPARK", "bring the image of the engine Spark"),
            airflow=_switch(env, "AIRFLOW", "have Airflow among the backends"),
        )

    def check_kind(self) -> None:
        """Raise `SettingsError` where a cluster of this name is there and of another kind.

        Taking it for this kind would remove its folders and leave its processes or containers behind.
        """
        there = _remembered(self.state).get("CLUSTER")
        if there is None and any((self.run / "programs").glob("*.pid")):
            there = "node"
        if there not in (None, self.kind):
            named = "" if self.name == DEFAULT_NAME else f" CLUSTER_NAME={self.name}"
            raise SettingsError(
                f"CLUSTER={self.kind}: {self.name} is a {there} cluster; "
                f"`make down CLUSTER={there}{named}` first"
            )

    def remember(self) -> None:
        """Keep the kind and the ports for the calls to come; called when the cluster is brought up."""
        self.state.mkdir(parents=True, exist_ok=True)
        values = {"CLUSTER": self.kind, "API_PORT": self.api_port, "PROMETHEUS_PORT": self.prometheus_port}
        temporary = _memory(self.state).with_suffix(".new")
        temporary.write_text(json.dumps(values) + "\n")
        temporary.replace(_memory(self.state))


def _source(env: Mapping[str, str]) -> Source:
    value = env.get("SOURCE") or "replay"
    if value not in ("replay", "kis-demo"):
        raise SettingsError(f"SOURCE={value!r}: use replay, or kis-demo for live quotes of stand-ins")
    return cast(Source, value)


def slot_of(name: str) -> int:
    """Return 0 for the default cluster, else a number in 1..1000 that depends only on the name."""
    if name == DEFAULT_NAME:
        return 0
    return 1 + int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % _SLOTS


def _memory(state: Path) -> Path:
    return state / "settings.json"


def _remembered(state: Path) -> dict[str, str]:
    try:
        values = json.loads(_memory(state).read_text())
    except (OSError, ValueError):  # never made, or torn by a crash: the defaults hold again
        return {}
    return {key: str(value) for key, value in values.items()} if isinstance(values, dict) else {}


def _kind(env: Mapping[str, str], remembered: Mapping[str, str]) -> Kind:
    kind = env.get("CLUSTER") or remembered.get("CLUSTER") or ("kind" if _kind_is_usable() else "node")
    if kind not in ("node", "kind"):
        raise SettingsError(f"CLUSTER={kind!r}: use node (the embedded cluster) or kind, or leave it unset")
    return cast("Kind", kind)


def _kind_is_usable() -> bool:
    """Tell whether the programs kind and kubectl and a Docker engine that answers are all there."""
    if not all(shutil.which(program) for program in ("kind", "kubectl", "docker")):
        return False
    try:
        asked = subprocess.run(["docker", "version"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def _switch(env: Mapping[str, str], variable: str, what: str) -> bool:
    value = env.get(variable, "")
    if value not in ("", "0", "1"):
        raise SettingsError(f"{variable}={value!r}: use 1 to {what}, or 0")
    return value == "1"


def _port(env: Mapping[str, str], variable: str, remembered: Mapping[str, str], default: int) -> int:
    value = env.get(variable) or remembered.get(variable) or str(default)
    if not value.isascii() or not value.isdigit() or not 1024 <= int(value) <= 65535:
        raise SettingsError(f"{variable}={value!r}: use a port number from 1024 to 65535")
    return int(value)


def number(
    env: Mapping[str, str], variable: str, default: str, unit: str, least: float, most: float
) -> float:
    """Return a variable's number in these bounds; `default` is its text where it is not set.

    Raises:
        SettingsError: says which it is, and what it may be.
    """
    text = env.get(variable) or default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise SettingsError(f"{variable}={text!r}: use a number of {unit} from {least:g} to {most:g}")
    return value
