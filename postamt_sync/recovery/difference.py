"""Differences between bucket, index, ledger and Maildirs."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class DifferenceKind(enum.StrEnum):
    """What differs. The values are an interface: --json prints them, --except takes them."""

    UNKNOWN = "unknown"
    """In the bucket, but unknown to the ledger."""
    WAITING = "waiting"
    """Still to be delivered, and overdue."""
    ARCHIVED = "archived"
    """In Glacier or Deep Archive, and never delivered."""
    ABSENT = "absent"
    """Not at home when the ledger was rebuilt: most likely deleted by its owner."""
    SEALED = "sealed"
    """Never delivered, and only its sealed object is left."""
    QUARANTINED = "quarantined"
    """Can never be delivered as it is."""
    MISSING = "missing"
    """Delivered, and no longer in any folder of its mailbox: deleted by its owner, or lost."""
    DAMAGED = "damaged"
    """The file is not what was delivered."""
    CHANGED = "changed"
    """The bucket has another content than the ledger knows."""
    GONE = "gone"
    """At home or in the ledger, but no longer in the bucket."""
    STRAY = "stray"
    """A file with a name of ours that belongs to no object."""
    AWAY = "away"
    """A Maildir that is missing; its contents were not compared."""
    UNINDEXED = "unindexed"
    """The index has no envelope of it."""
    UNDELIVERED = "undelivered"
    """Its envelope names a mailbox that got no copy, and is not to get one."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. What does not apply is empty. Key and detail are untrusted text.

    `size` is in bytes. `locked`: the object is in an archive and cannot be read now. `sealed_key`
    is the key of the sealed object if that is all that is left. `stem` is that of a missing file.
    """

    kind: DifferenceKind
    key: str = ""
    mail: str = ""
    mailbox: str = ""
    path: str = ""
    detail: str = ""
    size: int = 0
    storage_class: str = ""
    locked: bool = False
    sealed_key: str = ""
    stem: str = field(default="", compare=False)


@dataclass(slots=True)
class Compared:
    """How much was compared. Adopted mail is left out deliberately, new mail is under way."""

    objects: int = 0
    files: int = 0
    adopted: int = 0
    under_way: int = 0
