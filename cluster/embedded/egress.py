"""The way out for pods, where it is asked for: a link from the node's namespace to the machine's own.

Pods' addresses are hidden behind the link's, and the link's behind the machine's. Nothing outside can open a
connection inwards, and the machine forwards for nobody else than before.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cluster.embedded.addresses import egress_link
from cluster.embedded.namespace import Namespace
from cluster.shell import run

_INNER = "uplink0"  # the node's end of the link
_OUTER_PREFIX = "spl-"  # and the outside's, with the cluster's number
_NODE_TABLE = "stockpipeline-egress"


@dataclass(frozen=True)
class Egress:
    """The link of the cluster with number `slot` between its `node` and the `uplink` namespace.

    `uplink` None is this machine's own namespace. What was changed in it is remembered in `memory`, a folder
    that all clusters of this machine share.
    """

    cluster: str
    slot: int
    node: Namespace
    memory: Path
    uplink: Namespace | None = None

    @property
    def _outer(self) -> str:
        return f"{_OUTER_PREFIX}{self.slot}"

    @property
    def _table(self) -> str:
        return f"stockpipeline-{self.cluster}"

    @property
    def _memory_file(self) -> Path:
        return self.memory / f"uplink-{self.uplink.name if self.uplink else 'host'}.json"

    def connect(self) -> None:
        """Make the way out, or mend it; changes nothing where it is whole.

        Raises `RuntimeError` where the uplink itself has no way out.
        """
        outer_address, inner_address = egress_link(self.slot)
        device = self._uplink_device()
        was_forwarding = self._remember_forwarding(device)  # first: without it, nothing is ever undone
        if not self.node.has_link(_INNER):
            self._outside("ip", "link", "delete", self._outer, check=False)
            here = ["ip", "link", "add", self._outer, "type", "veth", "peer", "name", _INNER]
            self._outside(*here, "netns", self.node.name)
        self._outside("ip", "address", "replace", f"{outer_address}/30", "dev", self._outer)
        self._outside("ip", "link", "set", self._outer, "up")
        self.node.ip("address", "replace", f"{inner_address}/30", "dev", _INNER)
        self.node.ip("link", "set", _INNER, "up")
        self.node.ip("route", "replace", "default", "via", outer_address, "dev", _INNER)
        self.node.run("nft", "-f", "-", input=node_rules())
        # Per interface, not net.ipv4.ip_forward: that one would open all others too.
        for name in (self._outer, device):
            self._set_forwarding(name, "1")
        rules = uplink_rules(self._table, self._outer, inner_address, None if was_forwarding else device)
        self._outside("nft", "-f", "-", input=rules)
        for rule in self._iptables_rules():
            if self._outside("iptables", "-w", "-C", "FORWARD", *rule, check=False).returncode != 0:
                self._outside("iptables", "-w", "-I", "FORWARD", *rule)

    def disconnect(self) -> None:
        """Remove the way out and all that `connect` changed; repeatable, also after half of it."""
        if not self._memory_file.exists():  # nobody on this machine ever asked for one
            return
        if self.uplink is not None and not self.uplink.exists():
            self._memory_file.unlink(missing_ok=True)
            return
        for rule in self._iptables_rules():
            self._outside("iptables", "-w", "-D", "FORWARD", *rule, check=False)
        self._outside("nft", "delete", "table", "ip", self._table, check=False)
        self._outside("ip", "link", "delete", self._outer, check=False)
        if self.node.exists():
            self.node.ip("link", "delete", _INNER, check=False)
        links = json.loads(self._outside("ip", "-j", "link", "show", "type", "veth").stdout or "[]")
        if not any(link.get("ifname", "").startswith(_OUTER_PREFIX) for link in links):
            self._restore_forwarding()

    def _uplink_device(self) -> str:
        routes = json.loads(self._outside("ip", "-4", "-j", "route", "show", "default").stdout or "[]")
        if not routes:
            raise RuntimeError(
                "EGRESS=1: this machine has no default route for IPv4, so pods cannot reach the outside "
                "through it; connect it, or leave EGRESS unset"
            )
        return str(routes[0]["dev"])

    def _remember_forwarding(self, device: str) -> bool:
        """Keep what `device` was set to before any cluster came; tell whether it forwarded then."""
        before = self._remembered()
        if device not in before:
            before[device] = self._forwarding(device)
            self.memory.mkdir(parents=True, exist_ok=True)
            temporary = self._memory_file.with_suffix(".new")
            temporary.write_text(json.dumps(before))
            temporary.replace(self._memory_file)
        return before[device] == "1"

    def _restore_forwarding(self) -> None:
        for device, value in self._remembered().items():
            self._set_forwarding(device, value)
        self._memory_file.unlink(missing_ok=True)

    def _remembered(self) -> dict[str, str]:
        if not self._memory_file.exists():
            return {}
        content: dict[str, str] = json.loads(self._memory_file.read_text())
        return content

    def _forwarding(self, device: str) -> str:
        return self._outside("cat", f"/proc/sys/net/ipv4/conf/{device}/forwarding").stdout.strip()

    def _set_forwarding(self, device: str, value: str) -> None:
        file = f"/proc/sys/net/ipv4/conf/{device}/forwarding"
        self._outside("sh", "-c", 'if [ -e "$1" ]; then echo "$2" >"$1"; fi', "sh", file, value)

    def _iptables_rules(self) -> list[list[str]]:
        """The rules that a Docker engine's refusal to forward makes necessary."""
        replies = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"]
        return [["-i", self._outer, "-j", "ACCEPT"], ["-o", self._outer, *replies]]

    def _outside(
        self,
        *words: str,
        input: str | None = None,  # noqa: A002
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        enter = [] if self.uplink is None else ["nsenter", f"--net={self.uplink.path}"]
        return run([*enter, *words], input=input, check=check)


def node_rules() -> str:
    """Return nftables rules that hide pods behind the node's end of the link."""
    return f"""\
table ip {_NODE_TABLE}
delete table ip {_NODE_TABLE}
table ip {_NODE_TABLE} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    oifname "{_INNER}" masquerade
  }}
}}
"""


def uplink_rules(table: str, link: str, node_address: str, closed_device: str | None) -> str:
    """Return nftables rules that hide the node behind the uplink and let nothing in through the link.

    `closed_device` is the uplink's interface where it forwarded for nobody before: it then forwards only
    to clusters. Segment sizes follow the path, whose links may be narrower than pods think.
    """
    only_clusters = f'iifname "{closed_device}" oifname != "{_OUTER_PREFIX}*" drop' if closed_device else ""
    return f"""\
table ip {table}
delete table ip {table}
table ip {table} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    ip saddr {node_address} oifname != "{link}" masquerade
  }}
  chain forward {{
    type filter hook forward priority filter;
    iifname "{link}" tcp flags syn tcp option maxseg size set rt mtu
    oifname "{link}" ct state != {{ established, related }} drop
    {only_clusters}
  }}
}}
"""
