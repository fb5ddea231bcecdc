"""One record of the DNS, and how records are written into a zone file (RFC 1035, section 5)."""

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
"""Seconds that a resolver may remember our records."""
_LONGEST_STRING = 255
"""Bytes of one character string (RFC 1035, section 3.3); a longer text is several of them."""


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
    """A record that is to be there.

    `name` has no dot at its end. `value` is the text of a TXT record as it is meant, and for the
    other types the presentation form with absolute names (RFC 1035, section 5.1). Without an
    `optional` one, mail still comes and goes, and the webmail is reached.
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
        """The name with the dot at its end, escaped for a zone file."""
        return dns.name.from_text(self.name).to_text()

    @property
    def rdata(self) -> dns.rdata.Rdata:
        """The value as it goes over the wire."""
        if self.type == "TXT":
            return text_rdata(self.value)
        return parsed(self.type, self.value)

    @property
    def data(self) -> str:
        """The value as a zone file, Route 53 and the forms of DNS hosts take it."""
        return self.rdata.to_text()


def text_rdata(text: str) -> TXT:
    """Return the TXT record that says `text`, in as many character strings as it takes."""
    encoded = text.encode()
    starts = range(0, max(len(encoded), 1), _LONGEST_STRING)
    strings = [encoded[start : start + _LONGEST_STRING] for start in starts]
    return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings)


def parsed(kind: str, data: str) -> dns.rdata.Rdata:
    """Read the presentation form; raises dns.exception.DNSException where it is none."""
    return dns.rdata.from_text(dns.rdataclass.IN, kind, data, dns.name.root, relativize=False)


def said(rdata: dns.rdata.Rdata) -> str:
    """Return what a TXT record says, its strings joined as SPF and DMARC join them (RFC 7208,
    section 3.3); what is not UTF-8 comes out as U+FFFD. For other types the presentation form."""
    if isinstance(rdata, TXT):
        return b"".join(rdata.strings).decode(errors="replace")
    return rdata.to_text()


def zone_file(records: Collection[Record], in_the_way: Mapping[Record, str] | None = None) -> str:
    """Write the file; what is `in_the_way` of a record comments it out and says why.

    An import adds records, it replaces none: a second MX, SPF or DMARC beside one that is there
    would break both.
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
    # A line end within would let foreign text become a record.
    shown = printable(text, len(text) + 1)
    yield from textwrap.wrap(shown, WIDTH, initial_indent="; ", subsequent_indent="; ")
