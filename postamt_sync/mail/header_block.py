"""The header block of a mail (RFC 5322, section 2.2): where it ends, and its fields by name.

Everything here works on bytes, takes linear time, and never raises, whatever the bytes are.
"""

from __future__ import annotations

import re

LONGEST_HEAD = 1 << 20
"""How many bytes of a mail are searched for the end of its header block."""

# None of these expressions can match a text in two ways, so none can backtrack over the same text
# more than once.
_CRS = re.compile(rb"\r+\n?")
_EMPTY_LINE = re.compile(rb"\n\r?\n")
# Behind a line end, with one put in front of the block: a search for it is several times as fast as
# for the beginning of any line.
_NAMED = rb"\n(%b)[ \t]*:((?:[^\n]*\n[ \t])*[^\n]*)"
ANY_FIELD = re.compile(_NAMED % rb"[!-9;-~]{1,80}")
"""Finds each field of a block, for `first_fields`."""


def fields_named(*names: str) -> re.Pattern[bytes]:
    """Return what finds the fields of these names, for `first_fields`."""
    return re.compile(_NAMED % "|".join(names).encode("ascii"), re.IGNORECASE)


def first_fields(block: bytes, fields: re.Pattern[bytes]) -> dict[str, bytes]:
    """Return fields of a header block, names in lower case, values as they stand, folded and raw.

    Of fields of one name the first. `fields` is what `fields_named` returned, or ANY_FIELD.
    """
    found: dict[str, bytes] = {}
    for field in fields.finditer(b"\n" + block):
        found.setdefault(field[1].decode("ascii").lower(), field[2])
    return found


def header_block(head: bytes) -> bytes | None:
    """Return the header block of a mail that begins with `head`, without the empty line after it.

    None: `head` has no empty line. Read more of the mail; if there is no more, all of it is header.
    As in mail clients and Dovecot the block ends at the first empty line and nowhere else: a line
    that is not a header field (mbox's `From `, a name that is not ASCII) does not end it.
    """
    if head.startswith((b"\n", b"\r\n")):
        return b""
    found = _EMPTY_LINE.search(head)  # stops at the first; a body may be long
    return head[: found.start() + 1] if found else None


def whole_header(head: bytes) -> bytes:
    """Return the header block of a mail, where `head` is all of it or all that may be read.

    If there is no empty line, the mail may have the line ends of old Macs below SES's own fields:
    then a CR alone counts as one.
    """
    block = header_block(head)
    if block is None and b"\r" in head:
        head = _CRS.sub(_line_ends, head)
        block = header_block(head)
    return head if block is None else block


def _line_ends(crs: re.Match[bytes]) -> bytes:
    return crs[0] if crs[0].endswith(b"\n") else b"\n" * len(crs[0])
