"""How pods get their network: the configuration of the CNI plugins of Debian's package."""

from __future__ import annotations

import json
from pathlib import Path

from cluster.embedded.addresses import POD_RANGE

PLUGINS = Path("/usr/lib/cni")
# Where libcni keeps the results of each attachment; containerd offers no choice.
_RESULTS = Path("/var/lib/cni/results")


def configuration(network: str, leases: Path) -> str:
    """Return the conflist of the network `network`, whose given-out addresses are kept in `leases`.

    Point-to-point links rather than a bridge: traffic between two pods then passes the node's routing, so
    Services work between them without the br_netfilter module.
    """
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": POD_RANGE}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(leases),
    }
    plugins = [
        {"type": "ptp", "ipMasq": False, "mtu": 1500, "ipam": ipam},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return json.dumps({"cniVersion": "0.4.0", "name": network, "plugins": plugins}, indent=2) + "\n"


def forget(network: str, results: Path = _RESULTS) -> None:
    """Remove what libcni remembers of the network's attachments, and its folders if nobody else uses them."""
    for file in results.glob(f"{network}-*-eth0"):
        container = file.name.removeprefix(f"{network}-").removesuffix("-eth0")
        # containerd gives every pod a loopback too, as a network of the same name for all clusters.
        (results / f"cni-loopback-{container}-lo").unlink(missing_ok=True)
        file.unlink(missing_ok=True)
    for folder in (results, results.parent):
        try:
            folder.rmdir()
        except OSError:  # not there, or another network's
            return
