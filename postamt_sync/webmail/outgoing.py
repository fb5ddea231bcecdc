"""A mail that is written in the webmail: what was typed, and the message made from it."""

from __future__ import annotations

import email.utils
from collections.abc import Sequence
from dataclasses import dataclass

from postamt_sync.webmail.message_text import (
    OutgoingFile,
    address_line,
    body,
    field_line,
    text_line,
)
from postamt_sync.webmail.typed_addresses import TypedAddress, one_line

LARGEST_MESSAGE = 40_000_000
"""Bytes of a whole message, encoded (SES Developer Guide, "Service quotas": 40 MB)."""
LONGEST_SUBJECT = 500


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One mail. The last of `references` is the mail that it answers; empty for a new one."""

    sender: TypedAddress
    to: tuple[TypedAddress, ...]
    cc: tuple[TypedAddress, ...]
    bcc: tuple[TypedAddress, ...]
    subject: str
    text: str
    references: tuple[str, ...] = ()
    files: tuple[OutgoingFile, ...] = ()

    @property
    def recipients(self) -> tuple[str, ...]:
        """The addresses of everybody who gets it, each once."""
        return tuple(dict.fromkeys(a.address for a in (*self.to, *self.cc, *self.bcc)))

    def message(self, message_id: str, seconds: float) -> bytes:
        """Return the message to send. It does not show who is in Bcc. `seconds`: since 1970."""
        fields = [
            field_line("Message-ID", message_id),
            field_line("Date", email.utils.formatdate(seconds)),
            address_line("From", [self.sender]),
            *(address_line(n, a) for n, a in (("To", self.to), ("Cc", self.cc)) if a),
            text_line("Subject", one_line(self.subject, LONGEST_SUBJECT)),
        ]
        if self.references:
            fields.append(field_line("In-Reply-To", self.references[-1]))
            fields.append(field_line("References", "\r\n ".join(self.references)))
        fields.append(field_line("MIME-Version", "1.0"))
        return b"".join(fields) + body(self.text, self.files)


def with_message_id(raw: bytes, message_id: str, bcc: Sequence[str]) -> bytes:
    """Return a sent message in the form that is kept: with its Bcc and final Message-ID."""
    first, line_end, rest = raw.partition(b"\r\n")
    if not first.lower().startswith(b"message-id:"):
        return raw
    told = b"".join(b"Bcc: %s\r\n" % address.encode() for address in bcc)
    return b"Message-ID: %s" % message_id.encode() + line_end + told + rest
