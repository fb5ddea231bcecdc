"""The DNS's answer to one question, and whether the name exists or a wildcard answered for it.

A wildcard answers for every name that does not exist (RFC 4592). Its answer is not a record of that
name, and disappears as soon as any record is created there.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.CNAME import CNAME

from postamt_sync.events import printable

_STAR = "*."


class UnansweredError(Exception):
    """The DNS could not be reached, or gave no usable answer."""


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """All records of one name and type.

    `alias` is the target of the name's CNAME without the final dot, "" if it has none; with an
    alias, `rdatas` are the target's. `exists` is false if the name, or the one that its alias leads
    to, does not exist.
    """

    rdatas: frozenset[dns.rdata.Rdata] = frozenset()
    alias: str = ""
    exists: bool = True

    @property
    def says_something(self) -> bool:
        return bool(self.rdatas or self.alias)

    def is_as(self, other: DnsAnswer) -> bool:
        """Whether one wildcard could have given both answers."""
        if self.alias or other.alias:
            return self.alias == other.alias
        return self.rdatas == other.rdatas


class Questions:
    """Asks one resolver each question once. `seconds` is the limit for each, retries included."""

    def __init__(self, resolver: dns.asyncresolver.Resolver, seconds: float) -> None:
        self._resolver = resolver
        self._seconds = seconds
        self._random = f"postamt-{secrets.token_hex(8)}"
        self._asked: dict[tuple[str, str], asyncio.Task[DnsAnswer]] = {}

    async def ask(self, name: str, kind: str) -> DnsAnswer:
        """Return the answer, which may come from a wildcard. Raises UnansweredError."""
        asked = self._asked.get((name, kind))
        if asked is None:
            asked = self._asked[name, kind] = asyncio.create_task(self._ask(name, kind))
        return await asked

    async def from_wildcard(self, name: str, kind: str, answer: DnsAnswer) -> bool:
        """Whether a wildcard gave this answer because the name does not exist.

        In that case random names beside and below it get the same answer. If one of those cannot
        be looked up, the answer counts as genuine.
        """
        if not answer.says_something:
            return False
        # To the wildcards further up, a wildcard's own name is a name like any other.
        parent = name.removeprefix(_STAR).partition(".")[2]
        if not await self._same(f"{self._random}.{parent}", kind, answer):
            return False
        # The name may still exist, with the same records as the wildcard. If it does, its parent's
        # wildcard does not apply below it, but it may have a wildcard of its own.
        below = name if name.startswith(_STAR) else f"{_STAR}{name}"
        return await self._same(f"{self._random}.{name}", kind, answer) and await self._same(
            f"{self._random}.{below}", kind, answer
        )

    async def _same(self, name: str, kind: str, answer: DnsAnswer) -> bool:
        try:
            return (await self.ask(name, kind)).is_as(answer)
        except UnansweredError:
            return False

    async def _ask(self, name: str, kind: str) -> DnsAnswer:
        seconds = self._seconds
        try:
            absolute = dns.name.from_text(name)
            # dnspython measures its lifetime by the wall clock, which may be set in the meantime.
            async with asyncio.timeout(seconds + 1):
                answer = await self._resolver.resolve(
                    absolute, kind, lifetime=seconds, raise_on_no_answer=False
                )
        except dns.resolver.NXDOMAIN as error:
            response = error.response(absolute)  # type: ignore[no-untyped-call]
            return DnsAnswer(alias=_alias(response, absolute, kind), exists=False)
        except (dns.resolver.LifetimeTimeout, TimeoutError) as error:
            raise UnansweredError(f"no answer within {seconds:g} s.") from error
        except dns.resolver.NoNameservers as error:
            raise UnansweredError(_why(error)) from error
        except (dns.exception.DNSException, OSError) as error:
            raise UnansweredError(printable(f"{type(error).__name__}: {error}.")) from error
        return DnsAnswer(frozenset(answer.rrset or ()), _alias(answer.response, absolute, kind))


def _alias(response: dns.message.Message, name: dns.name.Name, kind: str) -> str:
    """Return the target of the name's CNAME; "" if there is none, or if the question was CNAME."""
    if kind == "CNAME":
        return ""
    for rrset in response.answer:
        if rrset.name == name and rrset.rdtype == dns.rdatatype.CNAME:
            for rdata in rrset:
                assert isinstance(rdata, CNAME)
                return rdata.target.to_text(omit_final_dot=True)
    return ""


def _why(error: dns.resolver.NoNameservers) -> str:
    # dnspython keeps of each failure: server, TCP or not, port, error, response.
    responses = [failure[4] for failure in error.kwargs.get("errors", ())]
    codes = {response.rcode() for response in responses if response is not None}
    if dns.rcode.SERVFAIL in codes:
        return "SERVFAIL, as when the domain's name servers or its DNSSEC are broken."
    if dns.rcode.REFUSED in codes:
        return "the resolver refuses to answer us."
    return printable(str(error)) + "."
