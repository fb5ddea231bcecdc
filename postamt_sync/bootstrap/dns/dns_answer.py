"""What the DNS answers to one question, and whether the name that was asked for is there at all.

A wildcard answers for every name that is not there (RFC 4592): what it says is no record of that
name, and is gone as soon as anything else is made there.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.rdata
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.CNAME import CNAME

from postamt_sync.events import printable

_STAR = "*."


class UnansweredError(Exception):
    """The DNS could not be asked, or did not say."""


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """All that is of one name and type.

    `alias`: where a CNAME of the name leads, without the last dot, "" where there is none; then
    `rdatas` are what stands at its end. Not `exists`: there is nothing of that name, or of the one
    that its alias leads to.
    """

    rdatas: frozenset[dns.rdata.Rdata] = frozenset()
    alias: str = ""
    exists: bool = True

    @property
    def says_something(self) -> bool:
        return bool(self.rdatas or self.alias)

    def is_as(self, other: DnsAnswer) -> bool:
        """Whether one wildcard may have given both."""
        if self.alias or other.alias:
            return self.alias == other.alias
        return self.rdatas == other.rdatas


class Questions:
    """Puts questions to one resolver, each once; `seconds` for each, with all its repetitions."""

    def __init__(self, resolver: dns.asyncresolver.Resolver, seconds: float) -> None:
        self._resolver = resolver
        self._seconds = seconds
        self._random = f"postamt-{secrets.token_hex(8)}"
        self._asked: dict[tuple[str, str], asyncio.Task[DnsAnswer]] = {}

    async def ask(self, name: str, kind: str) -> DnsAnswer:
        """Return what a resolver says, a wildcard's answer too. Raises UnansweredError."""
        asked = self._asked.get((name, kind))
        if asked is None:
            asked = self._asked[name, kind] = asyncio.create_task(self._ask(name, kind))
        return await asked

    async def from_wildcard(self, name: str, kind: str, answer: DnsAnswer) -> bool:
        """Tell whether a wildcard gave this answer, because there is no such name.

        Random names beside and below it get the same answer then. What cannot be asked counts as
        something else: the answer is believed.
        """
        if not answer.says_something:
            return False
        # A wildcard's own name is a name like any other, for the wildcards further up.
        parent = name.removeprefix(_STAR).partition(".")[2]
        if not await self._same(f"{self._random}.{parent}", kind, answer):
            return False
        # It may still be there and say the same as the wildcard. What is there has no names of its
        # parent's wildcard below it, but it may have a wildcard of its own.
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
            # dnspython measures its lifetime by the wall clock, which may be set meanwhile.
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
    """Return where the name's CNAME leads; "" where there is none, or where it was asked for."""
    if kind == "CNAME":
        return ""
    for rrset in response.answer:
        if rrset.name == name and rrset.rdtype == dns.rdatatype.CNAME:
            for rdata in rrset:
                assert isinstance(rdata, CNAME)
                return rdata.target.to_text(omit_final_dot=True)
    return ""


def _why(error: dns.resolver.NoNameservers) -> str:
    said = str(error)
    for code, meaning in (
        ("SERVFAIL", "SERVFAIL, as when the domain's name servers or its DNSSEC are broken."),
        ("REFUSED", "the resolver refuses to answer us."),
    ):
        if code in said:
            return meaning
    return printable(said) + "."
