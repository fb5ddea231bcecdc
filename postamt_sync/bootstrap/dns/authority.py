"""Asks a domain's own name servers directly: they know a record as soon as it is created, while a
resolver may cache for an hour that it was missing."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver

from postamt_sync.bootstrap.dns.dns_lookup import SECONDS, name_servers

_MOST = 4
"""Servers to ask, at most; all of them have all the records."""


async def authority_of(
    domain: str, resolver: dns.asyncresolver.Resolver
) -> dns.asyncresolver.Resolver | None:
    """Return a resolver that asks only the name servers of the domain's zone.

    None if they cannot be found or reached from here; the caller then uses `resolver`.
    """
    zone = domain
    servers: Sequence[str] = ()
    while "." in zone and not servers:
        servers = await name_servers(zone, resolver) or ()
        zone = zone.partition(".")[2]
    found = await asyncio.gather(*(_addresses(name, resolver) for name in servers[:_MOST]))
    addresses = [address for some in found for address in some]
    if not addresses:
        return None
    direct = dns.asyncresolver.Resolver(configure=False)
    direct.nameservers = addresses
    direct.use_edns(0, 0, 1232)
    try:
        await direct.resolve(f"{domain}.", "SOA", raise_on_no_answer=False, lifetime=SECONDS)
    except dns.resolver.NXDOMAIN:
        pass
    except (dns.exception.DNSException, OSError):
        return None
    return direct


async def _addresses(name: str, resolver: dns.asyncresolver.Resolver) -> list[str]:
    try:
        answer = await resolver.resolve(f"{name}.", "A", lifetime=SECONDS)
    except (dns.exception.DNSException, OSError):
        return []
    every = (rdata.to_text() for rdata in answer)
    return [text for text in every if ipaddress.ip_address(text).version == 4]
