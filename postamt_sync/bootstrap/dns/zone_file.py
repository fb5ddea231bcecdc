"""The records as a zone file that BIND reads and DNS hosts import (RFC 1035, section 5).

All names are absolute: the file means the same in whatever zone it is read.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Mapping

from postamt_sync.bootstrap.dns.record import Record
from postamt_sync.events import printable

WIDTH = 80
_IMPORT = (
    "Cloudflare: DNS, Records, Import and Export. Leave the CNAMEs unproxied (DNS only), or SES "
    "does not find them. BIND: $INCLUDE this file in the zone."
)


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
