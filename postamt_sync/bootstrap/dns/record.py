"""A DNS record, and how records are written to a zone file (RFC 1035, section 5)."""

from __future__ import annotations

import enum
import textwrap
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.rdtypes.ANY.TXT import TXT

from postamt_sync.events import printable

RecordType = Literal["MX", "CNAME", "TXT", "SRV"]
TTL = 3600
"""Seconds for which a resolver may cache our records."""
_LONGEST_STRING = 255
"""Bytes in one character string (RFC 1035, section 3.3); a longer text is split into several."""


WIDTH = 80

_IMPORT = (
    "Cloudflare: DNS, Records, Import and Export. Leave the CNAMEs unproxied (DNS only), or SES "
    "does not find them. BIND: $INCLUDE this file in the zone."
)


class Purpose(enum.StrEnum):
    """What a record is for."""

    RECEIVE = "receive"
    DKIM = "dkim"
    MAIL_FROM = "mail-from"
    MAIL_FROM_SPF = "mail-from-spf"
    DMARC = "dmarc"
    SPF = "spf"
    IMAP = "imap"
    SUBMISSION = "submission"
    CERTIFICATE = "certificate"
    WEBMAIL = "webmail"


@dataclass(frozen=True, slots=True)
class Record:
    """A record that should exist.

    `name` has no final dot. `value` is the plain text of a TXT record; for other types it is the
    presentation form with absolute names (RFC 1035, section 5.1). Mail and webmail work without an
    `optional` record.
    """

    domain: str
    purpose: Purpose
    name: str
    type: RecordType
    value: str
    note: str
    optional: bool = False
    ttl: int = TTL

    @property
    def absolute_name(self) -> str:
        """The name with its final dot, escaped for a zone file."""
        return dns.name.from_text(self.name).to_text()

    @property
    def rdata(self) -> dns.rdata.Rdata:
        """The value, parsed."""
        if self.type == "TXT":
            return text_rdata(self.value)
        return parsed(self.type, self.value)

    @property
    def data(self) -> str:
        """The value as zone files, Route 53 and the web forms of DNS hosts expect it."""
        return self.rdata.to_text()


def text_rdata(text: str) -> TXT:
    """Return a TXT record of `text`, split into as many character strings as needed."""
    encoded = text.encode()
    starts = range(0, max(len(encoded), 1), _LONGEST_STRING)
    strings = [encoded[start : start + _LONGEST_STRING] for start in starts]
    return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings)


def parsed(kind: str, data: str) -> dns.rdata.Rdata:
    """Parse the presentation form. Raises dns.exception.DNSException if it is malformed."""
    return dns.rdata.from_text(dns.rdataclass.IN, kind, data, dns.name.root, relativize=False)


def said(rdata: dns.rdata.Rdata) -> str:
    """Return the text of a TXT record, its strings joined as for SPF and DMARC (RFC 7208, section
    3.3), with U+FFFD for what is not UTF-8. For other types, return the presentation form."""
    if isinstance(rdata, TXT):
        return b"".join(rdata.strings).decode(errors="replace")
    return rdata.to_text()


def zone_file(records: Collection[Record], in_the_way: Mapping[Record, str] | None = None) -> str:
    """Return a zone file. A record in `in_the_way` is commented out, with the reason given there.

    Importing a file adds records and replaces none: a second MX, SPF or DMARC record beside an
    existing one would break both.
    """
    return "".join(f"{line}\n" for line in _lines(records, in_the_way or {}))


def _lines(records: Collection[Record], in_the_way: Mapping[Record, str]) -> Iterator[str]:
    yield from _comment(_IMPORT)
    domain = note = ""
    for record in records:
        if record.domain != domain:
            domain = record.domain
            yield ""
            yield from _comment(f"The mail of {domain}")
        if record.note != note:
            note = record.note
            yield ""
            yield from _comment(note)
        line = f"{record.absolute_name}\t{record.ttl}\tIN\t{record.type}\t{record.data}"
        if record in in_the_way:
            yield from _comment(f"LEFT OUT: {in_the_way[record]}")
            line = f"; {line}"
        yield line


def _comment(text: str) -> Iterator[str]:
    # A line break would let text from outside become a record.
    shown = printable(text, len(text) + 1)
    yield from textwrap.wrap(shown, WIDTH, initial_indent="; ", subsequent_indent="; ")
