"""A mail's header as it is remembered and searched: decoded, one line a field, truncated.

Pure. What cannot be decoded still becomes some text; nothing here raises.
"""

from __future__ import annotations

from collections.abc import Mapping

from postamt_sync.index.summary import Summary, readable, summary_of_head, summary_of_receipt
from postamt_sync.ledger.remembered_headers import MailHeader
from postamt_sync.mail.header_block import fields_named, first_fields, whole_header

LONGEST_HEAD = 32_768
"""The bytes of a mail that are looked at; signatures of those who passed it on come first."""
LONGEST = 300
"""The characters kept of each field."""

_MESSAGE_ID = fields_named("message-id")


def header_of_head(mail: str, stored_at: float, head: bytes) -> MailHeader:
    """Return the header of a mail that begins with `head`."""
    block = whole_header(head[:LONGEST_HEAD])
    message_id = readable(first_fields(block, _MESSAGE_ID).get("message-id", b""), LONGEST)
    # Parsing the body, which may be in other charsets, would cost more than all the rest.
    return _header(mail, stored_at, message_id, summary_of_head(block + b"\n"))


def header_of_receipt(mail: str, stored_at: float, told: Mapping[str, object]) -> MailHeader:
    """Return the header in the member `mail` of a SES receipt."""
    common = told.get("commonHeaders")
    said = common.get("messageId") if isinstance(common, dict) else None
    message_id = readable(said.encode("utf-8", "replace"), LONGEST) if isinstance(said, str) else ""
    return _header(mail, stored_at, message_id, summary_of_receipt(told))


def _header(mail: str, stored_at: float, message_id: str, summary: Summary) -> MailHeader:
    said = (summary.from_, summary.to, summary.subject)
    sender, recipients, subject = ((text or "")[:LONGEST] for text in said)
    return MailHeader(mail, stored_at, message_id, sender, recipients, subject)
