"""An entry of the index as an item of DynamoDB, in the form of its low-level API.

Attributes that are not known are absent. All are strings (S) unless said otherwise.

    message_id    the key below the prefix; partition key of the table
    key           the object's key
    month         2026-11; partition key of the secondary index `by_received`
    received_at   2026-11-24T18:12:09.000Z, when SES received the mail; its sort key. An item
                  without it is in no month's list, and still found by its id
    accepted_by   where this, sender and verdicts come from: receipt, object or event
    recipients    RCPT TO of all receipts (SS); there once a receipt has come
    sender        MAIL FROM; absent for the null reverse path too
    spam, virus, spf, dkim, dmarc    PASS, FAIL, GRAY or PROCESSING_FAILED
    dmarc_policy  none, quarantine or reject; with a DMARC FAIL only
    header_of     where the following come from: receipt, object or cut-receipt
    from, to, cc, subject, date      the sender's words, decoded, on one line each, cut
    etag, size (N), sequencer        of the object, from S3's events
    facts_of      where the following come from: receipt, object or cut-receipt
    own_id        the Message-ID, without angle brackets
    references    ids of the mails that this one answers, oldest first, a blank between two
    attachment    yes; absent where the header tells of none
    received_for  whom SES's own Received names, "" for nobody; absent where nobody looked
    received_for_of                  where that comes from: receipt or object
    sealed        yes, once the mail is sealed: then the words of others (sender, from, to, cc,
                  subject, date, own_id, references) are absent for good
    digest        stands for all of the above: who has read an item writes it only if the digest is
                  still the same, so that no two writers undo each other's work
    listed        the version of the routes by which the mail's lines in the lists were written
                  last; absent where they are not complete
    lines         the keys of these lines, as `index/lists.py` joins them (SS)

The two last ones are no part of an entry. In the lists' table, each line is the item of the entry
under the keys `list` and `line`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from postamt_sync.mail.arrival import Envelope, Verdicts

Item = dict[str, dict[str, Any]]
"""Attribute values by name: {"size": {"N": "1234"}}."""

ENVELOPE_ATTRIBUTES = (
    "message_id",
    "key",
    "recipients",
    "sender",
    *(field.name for field in fields(Verdicts)),
)
"""What `envelope` reads, and so all that the daemon asks for."""


def envelope(item: Mapping[str, Mapping[str, Any]]) -> Envelope | None:
    """Return the envelope in an item; None as long as no receipt has come to it."""
    told = recipients(item)
    if not told:
        return None
    return Envelope(tuple(sorted(told)), text(item, "sender"), verdicts(item))


def recipients(item: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Return RCPT TO of all receipts; empty as long as none has come."""
    return frozenset(item["recipients"]["SS"]) if "recipients" in item else frozenset()


def verdicts(item: Mapping[str, Mapping[str, Any]]) -> Verdicts:
    """Return what SES found."""
    return Verdicts(**{field.name: text(item, field.name) for field in fields(Verdicts)})


def text(item: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    """Return an attribute that is a string; None where it is absent."""
    return item[name]["S"] if name in item else None
