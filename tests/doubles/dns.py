"""A name server on loopback, UDP and TCP, which answers from a list and fails as real ones do."""

from __future__ import annotations

import asyncio
import enum
import socket
from collections import Counter
from typing import Self

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from postamt_sync.bootstrap.dns.dns_lookup import resolver_at

_LONGEST_CHAIN = 16


class Fault(enum.Enum):
    """What may go wrong with a question; the last four only over UDP."""

    SILENT = enum.auto()
    SERVFAIL = enum.auto()
    REFUSED = enum.auto()
    TRUNCATED = enum.auto()
    LOST_ONCE = enum.auto()
    GARBAGE = enum.auto()
    STRANGER = enum.auto()
    """An answer to another question comes first, as from someone who guesses."""


class NameServer(asyncio.DatagramProtocol):
    """Authoritative for everything: what it was not given does not exist, but for what a wildcard
    that it was given answers.

    `asked` counts questions by name, type and transport. `faults` are those of single names,
    `other_names` that of all names which are not there; questions of name and type in `unanswered`
    get no answer at all.
    """

    def __init__(self) -> None:
        self.faults: dict[str, Fault] = {}
        self.other_names: Fault | None = None
        self.unanswered: set[tuple[str, str]] = set()
        self.asked: Counter[tuple[str, str, str]] = Counter()
        self._sets: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], dns.rrset.RRset] = {}

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._tcp = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._tcp.sockets[0].getsockname()[1]
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", self.port))
        udp.setblocking(False)
        self._udp, _ = await loop.create_datagram_endpoint(lambda: self, sock=udp)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._udp.close()
        self._tcp.close()
        await self._tcp.wait_closed()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def resolver(self) -> dns.asyncresolver.Resolver:
        """What asks only here."""
        return resolver_at(self.address)

    def add(self, name: str, kind: str, *data: str) -> None:
        """Let `name` have these values, beside those that it has; `data` in presentation form."""
        more = dns.rrset.from_text_list(dns.name.from_text(name), 60, "IN", kind, data)
        self._sets.setdefault((more.name, more.rdtype), more).update(more)

    def remove(self, name: str, kind: str) -> None:
        del self._sets[dns.name.from_text(name), dns.rdatatype.from_text(kind)]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Being made is all there is to it."""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        fault = self._note(query, "udp")
        reply = self._answer(query, fault)
        match fault:
            case Fault.SILENT:
                return
            case Fault.LOST_ONCE:
                del self.faults[self._name(query)]
                return
            case Fault.GARBAGE:
                self._udp.sendto(reply.to_wire()[:7], addr)
                return
            case Fault.TRUNCATED:
                reply.answer.clear()
                reply.flags |= dns.flags.TC
            case Fault.STRANGER:
                forged = dns.message.from_wire(reply.to_wire())
                forged.id ^= 1
                forged.answer.clear()
                self._udp.sendto(forged.to_wire(), addr)
        self._udp.sendto(_datagram(reply, query.payload), addr)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            size = int.from_bytes(await reader.readexactly(2), "big")
            query = dns.message.from_wire(await reader.readexactly(size))
            fault = self._note(query, "tcp")
            if fault is not Fault.SILENT:
                wire = self._answer(query, fault).to_wire(max_size=65535)
                writer.write(len(wire).to_bytes(2, "big") + wire)
                await writer.drain()
        finally:
            writer.close()

    def _note(self, query: dns.message.Message, transport: str) -> Fault | None:
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        name = self._name(query)
        self.asked[name, kind, transport] += 1
        if (name, kind) in self.unanswered:
            return Fault.SILENT
        there = self._is_there(query.question[0].name)
        return self.faults.get(name, None if there else self.other_names)

    def _answer(self, query: dns.message.Message, fault: Fault | None) -> dns.message.Message:
        reply = dns.message.make_response(query)
        question = query.question[0]
        if fault in {Fault.SERVFAIL, Fault.REFUSED}:
            reply.set_rcode(dns.rcode.SERVFAIL if fault is Fault.SERVFAIL else dns.rcode.REFUSED)
            return reply
        name = question.name
        for _ in range(_LONGEST_CHAIN):
            source = self._source(name)
            if source is None:
                reply.set_rcode(dns.rcode.NXDOMAIN)
                return reply
            if found := self._sets.get((source, question.rdtype)):
                reply.answer.append(_renamed(found, name))
                return reply
            alias = self._sets.get((source, dns.rdatatype.CNAME))
            if alias is None:
                return reply
            reply.answer.append(_renamed(alias, name))
            name = next(iter(alias)).target
        return reply

    def _source(self, name: dns.name.Name) -> dns.name.Name | None:
        """Return whose records answer for a name: its own, or a wildcard's at the closest name
        above it that is there (RFC 4592, section 3.3.1); None where there is nothing."""
        if self._is_there(name):
            return name
        above = name.parent()
        while not self._is_there(above):
            above = above.parent()
        star = dns.name.from_text("*", above)
        return star if self._is_there(star) else None

    def _is_there(self, name: dns.name.Name) -> bool:
        """Also where only names below it have records; the root always is."""
        return name == dns.name.root or any(n.is_subdomain(name) for n, _ in self._sets)

    @staticmethod
    def _name(query: dns.message.Message) -> str:
        return query.question[0].name.to_text(omit_final_dot=True)


def _renamed(found: dns.rrset.RRset, name: dns.name.Name) -> dns.rrset.RRset:
    return dns.rrset.from_rdata_list(name, found.ttl, list(found))


def _datagram(reply: dns.message.Message, size: int) -> bytes:
    """Write an answer for whoever can take `size` bytes; what does not fit is left out (RFC 2181,
    section 9)."""
    try:
        return reply.to_wire(max_size=max(size, 512))
    except dns.exception.TooBig:
        reply.answer.clear()
        reply.flags |= dns.flags.TC
        return reply.to_wire()
