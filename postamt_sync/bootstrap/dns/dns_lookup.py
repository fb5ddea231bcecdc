"""Looks up our records in the DNS, as the rest of the world sees them."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import dns.asyncresolver

from postamt_sync.bootstrap.dns.dns_answer import DnsAnswer, Questions, UnansweredError
from postamt_sync.bootstrap.dns.dns_check import (
    DnsFinding,
    DnsVerdict,
    WhyMissing,
    behind_alias,
    beside,
    by_addresses,
    check_record,
    from_wildcard,
)
from postamt_sync.bootstrap.dns.record import Purpose, Record
from postamt_sync.bootstrap.dns.resolv_conf import RESOLV_CONF, read_resolv_conf
from postamt_sync.config.listen import parse_listen
from postamt_sync.errors import UsageError
from postamt_sync.events import printable

SECONDS = 5.0
"""How long one question may take, retries included."""
_AT_ONCE = 64
_EDNS_BYTES = 1232
"""Fits into one datagram everywhere: many home routers handle DNS over TCP badly."""
_NEVER_BESIDE_CNAME = ("TXT", "A", "AAAA", "MX")
"""Types that people and DNS hosts create at a name where a CNAME should be."""


def resolver_at(address: str = "", resolv_conf: Path = RESOLV_CONF) -> dns.asyncresolver.Resolver:
    """Return the resolver at `address`, with or without a port; without one, the system's.

    Raises UsageError if it is not an address.
    """
    resolver = dns.asyncresolver.Resolver(configure=False)
    if address:
        host, port = _host_and_port(address)
        resolver.nameservers = [host]
        resolver.port = port
    else:
        conf = read_resolv_conf(resolv_conf)
        resolver.nameservers = list(conf.servers)
        resolver.rotate = conf.rotate
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
            f"{printable(address)} is not the address of a resolver.",
            "Give an address, as in: --resolver 9.9.9.9, or 127.0.0.1:5353 with a port.",
        ) from error


async def look_up(
    records: Iterable[Record],
    resolver: dns.asyncresolver.Resolver,
    seconds: float = SECONDS,
) -> tuple[DnsFinding, ...]:
    """Look up and judge every record, and return the findings in the order of `records`.

    A record for which only a wildcard answers is missing. Never raises because of what the DNS
    answers, or fails to. Takes at most twice `seconds` if nobody answers, and a few times that if
    only some questions are answered.
    """
    gate = asyncio.Semaphore(_AT_ONCE)
    questions = Questions(resolver, seconds)

    async def one(record: Record) -> DnsFinding:
        async with gate:
            return await _look_up(record, questions)

    return tuple(await asyncio.gather(*map(one, records)))


async def name_servers(
    zone: str, resolver: dns.asyncresolver.Resolver, seconds: float = SECONDS
) -> tuple[str, ...] | None:
    """Return a zone's name servers as published in the DNS, sorted, without the final dot; None if
    the DNS gives no answer."""
    try:
        answer = await Questions(resolver, seconds).ask(zone, "NS")
    except UnansweredError:
        return None
    return tuple(sorted(rdata.to_text().rstrip(".").lower() for rdata in answer.rdatas))


async def _look_up(record: Record, questions: Questions) -> DnsFinding:
    try:
        answer = await _answer(record, questions)
    except UnansweredError as error:
        return DnsFinding(
            record,
            DnsVerdict.UNKNOWN,
            problem=f"It is not known whether {record.name} has its {record.type} record: {error}",
            remedy="Try again later, or ask another resolver, as in: --resolver 9.9.9.9",
        )
    if await questions.from_wildcard(record.name, record.type, answer):
        dns_finding = from_wildcard(record)
    elif answer.alias:
        return behind_alias(record, answer.alias, answer.rdatas)
    elif not answer.exists and record.purpose is Purpose.RECEIVE and record.name == record.domain:
        return DnsFinding(
            record,
            DnsVerdict.MISSING,
            why_missing=WhyMissing.NO_DOMAIN,
            problem=f"There is no domain {record.domain} in the DNS.",
            remedy="Is it registered, and do its name servers have a zone for it?",
        )
    else:
        dns_finding = check_record(record, answer.rdatas)
    if dns_finding.verdict is not DnsVerdict.MISSING:
        return dns_finding
    if record.type == "CNAME" and answer.exists and (other := await _beside(record, questions)):
        return other
    return await _misnamed(dns_finding, questions)


async def _answer(record: Record, questions: Questions) -> DnsAnswer:
    """Ask for the record; if the target of an alias cannot be looked up, return just the alias."""
    try:
        return await questions.ask(record.name, record.type)
    except UnansweredError:
        if record.type == "CNAME":
            raise
        aliases = await _or_nothing(questions, record.name, "CNAME")
        if not aliases.rdatas:
            raise
        return DnsAnswer(alias=min(aliases.rdatas).to_text().rstrip("."))


async def _is_aliased(record: Record, questions: Questions) -> bool:
    """Whether the name has one of its target's addresses, as an alias at the DNS host gives it.

    One is enough: the addresses may differ from one answer to the next.
    """
    target = record.data.rstrip(".")
    for kind in ("A", "AAAA"):
        ours = await _or_nothing(questions, record.name, kind)
        if set(ours.rdatas) & set((await _or_nothing(questions, target, kind)).rdatas):
            return not await questions.from_wildcard(record.name, kind, ours)
    return False


async def _beside(record: Record, questions: Questions) -> DnsFinding | None:
    """Look for what serves in place of a CNAME, or prevents it from existing."""
    if record.purpose is Purpose.WEBMAIL and await _is_aliased(record, questions):
        return by_addresses(record)
    for kind in _NEVER_BESIDE_CNAME:
        answer = await _or_nothing(questions, record.name, kind)
        if answer.rdatas and not await questions.from_wildcard(record.name, kind, answer):
            return beside(record, kind, answer.rdatas)
    return None


async def _misnamed(dns_finding: DnsFinding, questions: Questions) -> DnsFinding:
    """Look for the record at the name that results if the DNS host appends the zone once more."""
    record = dns_finding.record
    if record.name == record.domain:
        return dns_finding
    doubled = f"{record.name}.{record.domain}"
    answer = await _or_nothing(questions, doubled, record.type)
    if (
        answer.alias
        or check_record(record, answer.rdatas).verdict is not DnsVerdict.SEEN
        or await questions.from_wildcard(doubled, record.type, answer)
    ):
        return dns_finding
    return replace(
        dns_finding,
        why_missing=WhyMissing.MISNAMED,
        problem=f"The {record.type} record stands at {doubled}: the domain was added twice.",
        remedy=f"Name it {record.name.removesuffix(f'.{record.domain}')} where the DNS is hosted.",
    )


async def _or_nothing(questions: Questions, name: str, kind: str) -> DnsAnswer:
    try:
        return await questions.ask(name, kind)
    except UnansweredError:
        return DnsAnswer()
