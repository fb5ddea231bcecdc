"""Who asks, as far as wrong sign-ins are counted: an address, or a whole network of one owner."""

from __future__ import annotations

import ipaddress

UNKNOWN = "unknown"
OWN_NETWORK = 64
"""Bits of an IPv6 address that name a customer's network; he has all the others to himself."""


def peer_network(address: str) -> str:
    """Return the address, or of IPv6 its /64; UNKNOWN, which all share, for what is none."""
    try:
        peer = ipaddress.ip_address(address.strip().partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(peer, ipaddress.IPv4Address):
        return str(peer)
    inner = peer.ipv4_mapped or peer.sixtofour
    if inner is not None:
        return str(inner)
    return str(ipaddress.ip_network((peer, OWN_NETWORK), strict=False))


def viewer_address(header: str) -> str:
    """Return the address in CloudFront-Viewer-Address, `192.0.2.1:443` or `2001:db8::1:443`.

    CloudFront sets it itself; X-Forwarded-For begins with whatever the peer wrote.
    """
    address, colon, port = header.strip().rpartition(":")
    if not colon or not port.isascii() or not port.isdigit():
        return ""
    return address.removeprefix("[").removesuffix("]")
