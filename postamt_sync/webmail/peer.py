"""The source of a request, for counting wrong sign-ins: an address or an owner's network."""

from __future__ import annotations

import ipaddress

UNKNOWN = "unknown"
OWN_NETWORK = 64
"""Bits of an IPv6 address that identify a customer's network; all others are the customer's."""


def peer_network(address: str) -> str:
    """Return the address, for IPv6 its /64 network. Anything else shares UNKNOWN."""
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

    CloudFront sets this header itself, whereas X-Forwarded-For begins with what the peer wrote.
    "" if it is not in that form.
    """
    address, colon, port = header.strip().rpartition(":")
    if not colon or not port.isascii() or not port.isdigit():
        return ""
    return address.removeprefix("[").removesuffix("]")
