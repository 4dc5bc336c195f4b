"""What the embedded node takes from Debian 12."""

from __future__ import annotations

# Debian starts a system-wide containerd when its package is installed. The node ignores it: it runs one of
# its own, with its own folders and socket.
DEBIAN_PACKAGES = (
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "ethtool",
    "ipset",
    "iproute2",
    "iptables",
    "kmod",
    "mount",
    "nftables",
    "openssl",
    "procps",
    "runc",
    "socat",
    "util-linux",
)
