"""The addresses inside a node's network namespace: the same in every cluster, as each has one of its own."""

from __future__ import annotations

CLUSTER_DOMAIN = "cluster.local"
POD_RANGE = "10.244.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"  # the first of the range: the Service `kubernetes`
DNS_SERVICE_IP = "10.96.0.10"

# Carrier-grade NAT space (RFC 6598): neither a home's nor an office's own network uses it.
NODE_IP = "100.64.0.1"
NODE_PREFIX = 24
API_PORT = 6443


def egress_link(slot: int) -> tuple[str, str]:
    """Return the two addresses of the /30 between a node and the outside: (outside's end, node's end).

    `slot` is the cluster's number (0..1000): the outside's ends of two clusters share a namespace.
    """
    base = (100 << 24) + (65 << 16) + 4 * slot
    outer, inner = base + 1, base + 2
    return _dotted(outer), _dotted(inner)


def _dotted(address: int) -> str:
    return ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))
