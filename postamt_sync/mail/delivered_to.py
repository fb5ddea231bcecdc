"""The header field Delivered-To (RFC 9228): the address by which a copy came to a mailbox.

The addresses are untrusted. One that could break out of its header line is left out.
"""

from __future__ import annotations

from collections.abc import Iterable

LONGEST_ADDRESS = 900
"""Octets. With the field's name this fits into a line of 998 (RFC 5322 section 2.1.1)."""


def delivered_to(addresses: Iterable[str]) -> bytes:
    """Return one field per address, each with its CRLF, to be put on top of a message.

    Addresses that are not ASCII are written in UTF-8 (RFC 6532).
    """
    return b"".join(
        b"Delivered-To: %s\r\n" % written
        for address in addresses
        if (written := _written(address)) is not None
    )


def _written(address: str) -> bytes | None:
    plain = address.strip()
    if plain.startswith("<") and plain.endswith(">"):
        plain = plain[1:-1]
    if "@" not in plain or not plain.isprintable() or any(c.isspace() for c in plain):
        return None
    written = plain.encode()
    return written if len(written) <= LONGEST_ADDRESS else None
