"""The field Delivered-To (RFC 9228): under which address a copy came into a mailbox.

Its addresses come from outside. One that could be more than an address in one line is left out.
"""

from __future__ import annotations

from collections.abc import Iterable

LONGEST_ADDRESS = 900
"""Octets; with the field's name it fits into a line of 998 (RFC 5322 section 2.1.1)."""


def delivered_to(addresses: Iterable[str]) -> bytes:
    """Return one field for each address, to be put on top of a message; b"" for none.

    Addresses that are not ASCII are UTF-8 (RFC 6532).
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
