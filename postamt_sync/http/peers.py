"""Peers: whom connections and requests count for, also behind a reverse proxy.

An IPv4 address is one peer. Of IPv6 it is the /64, for every line is given at least that many
addresses and may change them at will (RFC 6177). IPv4-mapped addresses are IPv4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from aiohttp import web

from postamt_sync.config.listen import parse_listen

UNIX_SOCKET = "unix socket"
IPV6_PREFIX = 64
ADDRESSES_KEPT = 512
"""Of how many it is remembered how they read: a burst of requests comes from few."""

_Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom a place counts for. The bound for each peer does not hold where `bounded` is false."""

    name: str
    bounded: bool = True


class TrustedProxies:
    """Tells peers apart; what these proxies say of whom they forward for is believed.

    Who comes through a Unix socket counts as such a proxy: its file says who may, and it has no
    address by which it could be named. Raises ValueError for what is no address or network.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = [ip_network(network) for network in networks]

    def connection_peer(self, sockaddr: Any) -> Peer:
        """Return whom a connection counts for while it carries no request.

        `sockaddr` is the peer's as `accept` returns it. A proxy's connections are not bounded one
        by one: they are everybody's.
        """
        address = _address_of(sockaddr)
        return Peer(_name(address), bounded=not self._trusts(address))

    def sender(self, request: web.BaseRequest, sockaddr: Any) -> str:
        """Return the address that a request comes from; "" is a Unix socket.

        Behind a proxy it is the last one forwarded for that is no trusted proxy itself: what stands
        before it, the peer may have invented. What cannot be read leaves it with the proxy.
        """
        address = _address_of(sockaddr)
        if self._trusts(address):
            for node in reversed(_forwarded_for(request)):
                forwarded = read_address(node)
                if forwarded is None:
                    address = _address_of(sockaddr)
                    break
                address = forwarded
                if not self._trusts(address):
                    break
        return "" if address is None else str(address)

    def _trusts(self, address: _Address | None) -> bool:
        return address is None or any(address in network for network in self._networks)


@lru_cache(maxsize=ADDRESSES_KEPT)
def request_peer(sender: str) -> Peer:
    """Return whom a request of this sender counts for."""
    return Peer(_name(read_address(sender)))


def read_address(text: str) -> _Address | None:
    """Read an address, also with a port behind it, or in brackets (RFC 7239 section 6)."""
    text = text.strip()
    try:
        return _plain(ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        pass
    try:
        return _plain(ip_address(parse_listen(text).host))
    except ValueError:
        return None


def _forwarded_for(request: web.BaseRequest) -> Sequence[str]:
    """Return the forwarded peers, the nearest last.

    X-Forwarded-For goes first: proxies that write it pass Forwarded on as the stranger wrote it.
    """
    said = request.headers.getall("X-Forwarded-For", None)
    if said is not None:
        # Empty elements of a list mean nothing (RFC 9110 section 5.6.1).
        return [node for node in ",".join(said).split(",") if node.strip()]
    return [element.get("for", "") for element in request.forwarded]


def _address_of(sockaddr: Any) -> _Address | None:
    return _read_host(str(sockaddr[0])) if isinstance(sockaddr, tuple) else None


@lru_cache(maxsize=ADDRESSES_KEPT)
def _read_host(host: str) -> _Address | None:
    return read_address(host)


def _plain(address: _Address) -> _Address:
    if isinstance(address, IPv4Address):
        return address
    # Without the scope: it names an interface of ours.
    return address.ipv4_mapped or IPv6Address(int(address))


def _name(address: _Address | None) -> str:
    if address is None:
        return UNIX_SOCKET
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), IPV6_PREFIX), strict=False))
    return str(address)
