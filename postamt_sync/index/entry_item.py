"""An entry and its item, which `index/item.py` describes: from the one to the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from postamt_sync.index.entry import (
    Acceptance,
    Basis,
    Header,
    IndexEntry,
    KnownFacts,
    ReceivedFor,
    Stored,
)
from postamt_sync.index.item import Item, recipients, text, verdicts
from postamt_sync.index.list_facts import ListFacts
from postamt_sync.index.summary import NAMES, Summary
from postamt_sync.mail.arrival import Verdicts


def to_item(entry: IndexEntry) -> Item:
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
    if (listed := entry.listed) is not None:
        texts["facts_of"] = listed.basis
        texts["own_id"] = listed.facts.own_id or None
        texts["references"] = " ".join(listed.facts.references) or None
        texts["attachment"] = "yes" if listed.facts.attachment else None
    texts["sealed"] = "yes" if entry.sealed else None
    if entry.received_for is not None:
        texts["received_for_of"] = entry.received_for.basis
        texts["received_for"] = entry.received_for.recipient
    item: Item = {name: {"S": text} for name, text in texts.items() if text is not None}
    if stored is not None and stored.size is not None:
        item["size"] = {"N": str(stored.size)}
    if entry.recipients:
        item["recipients"] = {"SS": sorted(entry.recipients)}
    item["digest"] = {"S": _digest(item)}
    return item


def from_item(item: Mapping[str, Mapping[str, Any]]) -> IndexEntry:
    """Return the entry of an item that `to_item` made; attributes of others are passed over."""
    accepted_by, header_of = text(item, "accepted_by"), text(item, "header_of")
    acceptance = header = stored = None
    if accepted_by is not None:
        acceptance = Acceptance(
            Basis(accepted_by),
            text(item, "received_at") or "",
            text(item, "sender"),
            verdicts(item),
        )
    if header_of is not None:
        summary = Summary(**{field: text(item, name) for name, field in NAMES.items()})
        header = Header(Basis(header_of), summary)
    if "sequencer" in item:
        size = int(item["size"]["N"]) if "size" in item else None
        stored = Stored(text(item, "etag"), size, item["sequencer"]["S"])
    return IndexEntry(
        *(item["message_id"]["S"], item["key"]["S"], recipients(item)),
        acceptance,
        header,
        stored,
        _listed(item),
        _received_for(item),
        "sealed" in item,
    )


def _listed(item: Mapping[str, Mapping[str, Any]]) -> KnownFacts | None:
    basis = text(item, "facts_of")
    if basis is None:
        return None
    references = tuple((text(item, "references") or "").split())
    facts = ListFacts(text(item, "own_id") or "", references, "attachment" in item)
    return KnownFacts(Basis(basis), facts)


def _received_for(item: Mapping[str, Mapping[str, Any]]) -> ReceivedFor | None:
    basis = text(item, "received_for_of")
    return None if basis is None else ReceivedFor(Basis(basis), text(item, "received_for") or "")


def _digest(item: Item) -> str:
    return hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()
