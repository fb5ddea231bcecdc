"""A mail between its fetch and its end: copies on their way, and what failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.maildir import Draft, Maildir, Written
from postamt_sync.errors import PostamtError
from postamt_sync.ledger import Task
from postamt_sync.mail.envelope import Evidence


@dataclass(slots=True)
class Copy:
    """One mailbox's copy of a mail on its way."""

    mailbox: str
    maildir: Maildir
    folder: str
    draft: Draft
    written: Written | None = None
    extra_headers: bytes = b""
    """What is still to be written before the mail's own bytes."""


@dataclass(slots=True)
class PendingMail:
    """A fetched and routed mail with its copies, and the mailboxes that could not take theirs.

    A small mail comes as its `body`, to be written for `addressees` by the group; a large one comes
    with its copies written. `unpublished` are mailboxes in which an earlier copy is prepared
    and could not be published yet. `folder` is where the verdicts put it; without one a mailbox's
    entry in `tags` names a folder, if it has such a one. `extra_headers` are what a mailbox's copy
    begins with.
    """

    task: Task
    stem: str
    etag: str
    size: int
    last_modified: float
    received_at: float
    evidence: Evidence
    sha256: str = ""
    copies: list[Copy] = field(default_factory=list)
    failed: dict[str, PostamtError] = field(default_factory=dict)
    unpublished: dict[str, PostamtError] = field(default_factory=dict)
    delivered: list[str] = field(default_factory=list)
    mailboxes: Mailboxes | None = None
    addressees: list[str] = field(default_factory=list)
    folder: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    extra_headers: Mapping[str, bytes] = field(default_factory=dict)
    body: bytes = b""
    absent: list[str] = field(default_factory=list)
    """Mailboxes that are not to be given it: it is older than what they had at a loss."""
    ask_at: float | None = None
    """When to ask the index for the envelope, on the monotonic clock; None: no need."""

    @property
    def handed_over(self) -> bool:
        """Whether another server has a part in this, which may be slow."""
        names = [*self.addressees, *(copy.mailbox for copy in self.copies)]
        return self.mailboxes is not None and self.mailboxes.hands_over(names)

    def fail(self, copy: Copy, error: PostamtError) -> None:
        """Give up one copy for now."""
        self.copies.remove(copy)
        self.failed[copy.mailbox] = error

    def fail_all(self, error: PostamtError) -> None:
        """Give up every copy that is left, for now; the drafts stay where they are."""
        for copy in list(self.copies):
            self.fail(copy, error)

    def discard(self) -> None:
        """Throw away every draft; blocking."""
        for copy in self.copies:
            copy.draft.discard()
