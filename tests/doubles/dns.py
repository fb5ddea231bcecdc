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


class Fault(enum.Enum):
    """What may go wrong with a question; the last four only over UDP."""

    SILENT = enum.auto()
    SERVFAIL = enum.auto()
    REFUSED = enum.auto()
    TRUNCATED = enum.auto()
    LOST_ONCE = enum.auto()
    GARBAGE = enum.auto()
    STRANGER = enum.auto()
    """An answer to another question comes first, as from somebody who guesses."""


class NameServer(asyncio.DatagramProtocol):
    """Authoritative for everything: what it was not given does not exist.

    `asked` counts questions by name, type and transport.
    """

    def __init__(self) -> None:
        self.faults: dict[str, Fault] = {}
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
        self.asked[self._name(query), kind, transport] += 1
        return self.faults.get(self._name(query))

    def _answer(self, query: dns.message.Message, fault: Fault | None) -> dns.message.Message:
        reply = dns.message.make_response(query)
        question = query.question[0]
        if fault in {Fault.SERVFAIL, Fault.REFUSED}:
            reply.set_rcode(dns.rcode.SERVFAIL if fault is Fault.SERVFAIL else dns.rcode.REFUSED)
        elif found := self._sets.get((question.name, question.rdtype)):
            reply.answer.append(found)
        elif alias := self._sets.get((question.name, dns.rdatatype.CNAME)):
            reply.answer.append(alias)
        elif not any(name.is_subdomain(question.name) for name, _ in self._sets):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply

    @staticmethod
    def _name(query: dns.message.Message) -> str:
        return query.question[0].name.to_text(omit_final_dot=True)


def _datagram(reply: dns.message.Message, size: int) -> bytes:
    """Write an answer for whoever can take `size` bytes; what does not fit is left out (RFC 2181,
    section 9)."""
    try:
        return reply.to_wire(max_size=max(size, 512))
    except dns.exception.TooBig:
        reply.answer.clear()
        reply.flags |= dns.flags.TC
        return reply.to_wire()
