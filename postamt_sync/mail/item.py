"""An entry of the index as an item of DynamoDB, in the form of its low-level API.

Attributes that are not known are absent; an item without `received_at` is in no month's list, and
still found by its id. `digest` stands for all the rest of the item: who has read an item writes it
only if the digest is still the same, so that no two writers undo each other's work.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from postamt_sync.mail.entry import Acceptance, Basis, Entry, Header, Stored
from postamt_sync.mail.envelope import Envelope, Verdicts
from postamt_sync.mail.summary import NAMES, Summary

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


def to_item(entry: Entry) -> Item:
    """Return the item of an entry; equal entries have equal items."""
    texts: dict[str, str | None] = {"message_id": entry.message_id, "key": entry.key}
    if (accepted := entry.acceptance) is not None:
        texts["accepted_by"] = accepted.basis
        texts["sender"] = accepted.sender
        texts |= {f.name: getattr(accepted.verdicts, f.name) for f in fields(Verdicts)}
        if accepted.received_at:
            texts["received_at"] = accepted.received_at
            texts["month"] = accepted.received_at[: len("2026-11")]
    if (header := entry.header) is not None:
        texts["header_of"] = header.basis
        texts |= {name: getattr(header.summary, field) for name, field in NAMES.items()}
    if (stored := entry.stored) is not None:
        texts["sequencer"] = stored.sequencer
        texts["etag"] = stored.etag
    item: Item = {name: {"S": text} for name, text in texts.items() if text is not None}
    if stored is not None and stored.size is not None:
        item["size"] = {"N": str(stored.size)}
    if entry.recipients:
        item["recipients"] = {"SS": sorted(entry.recipients)}
    item["digest"] = {"S": _digest(item)}
    return item


def from_item(item: Mapping[str, Mapping[str, Any]]) -> Entry:
    """Return the entry of an item that `to_item` made; attributes of others are passed over."""
    accepted_by, header_of = _text(item, "accepted_by"), _text(item, "header_of")
    acceptance = header = stored = None
    if accepted_by is not None:
        acceptance = Acceptance(
            Basis(accepted_by),
            _text(item, "received_at") or "",
            _text(item, "sender"),
            _verdicts(item),
        )
    if header_of is not None:
        summary = Summary(**{field: _text(item, name) for name, field in NAMES.items()})
        header = Header(Basis(header_of), summary)
    if "sequencer" in item:
        size = int(item["size"]["N"]) if "size" in item else None
        stored = Stored(_text(item, "etag"), size, item["sequencer"]["S"])
    return Entry(
        item["message_id"]["S"], item["key"]["S"], _recipients(item), acceptance, header, stored
    )


def envelope(item: Mapping[str, Mapping[str, Any]]) -> Envelope | None:
    """Return the envelope in an item; None as long as no receipt has come to it."""
    recipients = _recipients(item)
    if not recipients:
        return None
    return Envelope(tuple(sorted(recipients)), _text(item, "sender"), _verdicts(item))


def _recipients(item: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(item["recipients"]["SS"]) if "recipients" in item else frozenset()


def _verdicts(item: Mapping[str, Mapping[str, Any]]) -> Verdicts:
    return Verdicts(**{field.name: _text(item, field.name) for field in fields(Verdicts)})


def _text(item: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    return item[name]["S"] if name in item else None


def _digest(item: Item) -> str:
    return hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()
