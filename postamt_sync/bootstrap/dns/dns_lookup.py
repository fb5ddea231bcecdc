"""Looks our records up in the DNS, as the world sees them."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from dataclasses import replace

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdata
import dns.resolver

from postamt_sync.bootstrap.dns.dns_check import DnsFinding, DnsVerdict, check_record
from postamt_sync.bootstrap.dns.record import Purpose, Record
from postamt_sync.config.listen import parse_listen
from postamt_sync.errors import MisconfiguredError, UsageError
from postamt_sync.events import printable

SECONDS = 5.0
"""How long one question may take, with all its repetitions."""
_AT_ONCE = 64
_EDNS_BYTES = 1232
"""What fits into a datagram anywhere: home routers are often bad at DNS over TCP."""


def resolver_at(address: str = "") -> dns.asyncresolver.Resolver:
    """Return the resolver to ask: `address` with or without a port, else that of the system.

    Raises UsageError where it is no address, MisconfiguredError where the system has no resolver.
    """
    try:
        resolver = dns.asyncresolver.Resolver(configure=not address)
    except dns.resolver.NoResolverConfiguration as error:
        raise MisconfiguredError(
            "This machine does not say whom to ask about names: /etc/resolv.conf has nobody.",
            "Name a resolver, as in: --resolver 9.9.9.9",
        ) from error
    if address:
        host, port = _host_and_port(address)
        resolver.nameservers = [host]
        resolver.port = port
    resolver.use_edns(0, 0, _EDNS_BYTES)
    return resolver


def _host_and_port(address: str) -> tuple[str, int]:
    try:
        return str(ipaddress.ip_address(address)), 53
    except ValueError:
        pass
    try:
        listen = parse_listen(address)
        return str(ipaddress.ip_address(listen.host)), listen.port
    except ValueError as error:
        raise UsageError(
            f"{printable(address)} is no address of a resolver.",
            "Give an address, as in: --resolver 9.9.9.9, or 127.0.0.1:5353 with a port.",
        ) from error


async def look_up(
    records: Iterable[Record],
    resolver: dns.asyncresolver.Resolver,
    seconds: float = SECONDS,
) -> tuple[DnsFinding, ...]:
    """Look every record up and judge what is there, in the order of `records`.

    Never raises for what the DNS does or does not say. Ends within twice `seconds`, or a little
    more where there are more than 64 records.
    """
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(record: Record) -> DnsFinding:
        async with gate:
            return await _look_up(record, resolver, seconds)

    return tuple(await asyncio.gather(*map(one, records)))


async def name_servers(
    zone: str, resolver: dns.asyncresolver.Resolver, seconds: float = SECONDS
) -> tuple[str, ...] | None:
    """Return the servers that the world asks about a zone, without the last dot, sorted; None where
    the DNS does not say."""
    try:
        found = await _ask(resolver, zone, "NS", seconds)
    except _UnansweredError:
        return None
    return tuple(sorted(rdata.to_text().rstrip(".").lower() for rdata in found or ()))


class _UnansweredError(Exception):
    """The DNS could not be asked, or did not say."""


async def _look_up(
    record: Record, resolver: dns.asyncresolver.Resolver, seconds: float
) -> DnsFinding:
    try:
        found = await _ask(resolver, record.name, record.type, seconds)
    except _UnansweredError as error:
        return DnsFinding(
            record,
            DnsVerdict.UNKNOWN,
            problem=f"Whether {record.name} has its {record.type} record is not known: {error}",
            remedy="Try again later, or ask another resolver, as in: --resolver 9.9.9.9",
        )
    if found is None and record.purpose is Purpose.RECEIVE and record.name == record.domain:
        return DnsFinding(
            record,
            DnsVerdict.MISSING,
            problem=f"There is no domain {record.domain} in the DNS.",
            remedy="Is it registered, and do its name servers have a zone for it?",
        )
    dns_finding = check_record(record, found or ())
    if dns_finding.verdict is DnsVerdict.MISSING and record.name != record.domain:
        return await _misnamed(dns_finding, resolver, seconds)
    return dns_finding


async def _misnamed(
    dns_finding: DnsFinding, resolver: dns.asyncresolver.Resolver, seconds: float
) -> DnsFinding:
    """Look for the record at the name that a DNS host makes of it by adding the zone again."""
    record = dns_finding.record
    doubled = f"{record.name}.{record.domain}"
    try:
        found = await _ask(resolver, doubled, record.type, seconds)
    except _UnansweredError:
        return dns_finding
    if not found or check_record(record, found).verdict is not DnsVerdict.SEEN:
        return dns_finding
    return replace(
        dns_finding,
        problem=f"The {record.type} record stands at {doubled}: the domain was added twice.",
        remedy=f"Name it {record.name.removesuffix(f'.{record.domain}')} where the DNS is hosted.",
    )


async def _ask(
    resolver: dns.asyncresolver.Resolver, name: str, kind: str, seconds: float
) -> tuple[dns.rdata.Rdata, ...] | None:
    """Return what is of this name and type; None where there is nothing of this name at all."""
    try:
        # dnspython measures its lifetime by the wall clock, which may be set meanwhile.
        async with asyncio.timeout(seconds + 1):
            answer = await resolver.resolve(
                dns.name.from_text(name), kind, lifetime=seconds, raise_on_no_answer=False
            )
    except dns.resolver.NXDOMAIN:
        return None
    except (dns.resolver.LifetimeTimeout, TimeoutError) as error:
        raise _UnansweredError(f"no answer within {seconds:g} s.") from error
    except dns.resolver.NoNameservers as error:
        raise _UnansweredError(_why(error)) from error
    except (dns.exception.DNSException, OSError) as error:
        raise _UnansweredError(printable(f"{type(error).__name__}: {error}.")) from error
    return tuple(answer.rrset or ())


def _why(error: dns.resolver.NoNameservers) -> str:
    said = str(error)
    for code, meaning in (
        ("SERVFAIL", "SERVFAIL, as when the domain's name servers or its DNSSEC are broken."),
        ("REFUSED", "the resolver refuses to answer us."),
    ):
        if code in said:
            return meaning
    return printable(said) + "."
