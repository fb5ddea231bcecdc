"""A mail on its way, a type for each stage; none of them changes.

    RoutedMail       its header block is read: what it is, who gets a copy, in which folder
    FetchedMail      a small one, its body in memory
    WrittenMail      its copies lie in `tmp/`, their bytes synced: step 1 is done
    PublishedMail    the protocol has been gone through: who has it and who has not

The fetcher makes the first three, a large mail being written while it comes. The publisher writes
small ones, many at once, and makes the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.errors import PostamtError
from postamt_sync.ledger import Delivery, Task
from postamt_sync.mail.envelope import Evidence


@dataclass(frozen=True, slots=True)
class MailboxTarget:
    """A mailbox that is to be given a copy, and what is particular to its copy."""

    mailbox: str
    tag_folder: str = ""
    """Foreign text: the folder that a tag asks for, used if there is one of that name."""
    extra_headers: bytes = b""
    """What its copy begins with."""


@dataclass(frozen=True, slots=True)
class RoutedMail:
    """One content of an object, and where it goes. `received_at` becomes the files' time."""

    task: Task
    stem: str
    etag: str
    size: int
    last_modified: float
    received_at: float
    evidence: Evidence
    mailboxes: Mailboxes
    addressees: tuple[MailboxTarget, ...]
    folder: str = ""
    """Where its verdicts put it, whatever the tag; "" is the INBOX."""
    absent: tuple[str, ...] = ()
    """Mailboxes that are not to be given it: it is older than what they had at a loss."""
    unpublished: Mapping[str, PostamtError] = field(default_factory=dict)
    """Mailboxes in which an earlier copy is prepared and could not be published yet."""
    owed: Mapping[str, PostamtError] = field(default_factory=dict)
    """Of these, the ones whose earlier copy is of another content: this one comes after it."""
    ask_at: float | None = None
    """When to ask the index for the envelope, on the monotonic clock; None: no need."""


@dataclass(frozen=True, slots=True)
class FetchedMail:
    """A small mail, read to its end and checked, of which nothing is written yet."""

    mail: RoutedMail
    body: bytes
    sha256: str

    @property
    def handed_over(self) -> bool:
        """Whether another server has a part in this, which may be slow."""
        return self.mail.mailboxes.hands_over(a.mailbox for a in self.mail.addressees)

    def gave_up(self, error: PostamtError) -> PublishedMail:
        """Return how it ended if nothing of it could be written."""
        failed = {a.mailbox: error for a in self.mail.addressees}
        return PublishedMail(self.mail, (), {**self.mail.owed, **failed})


@dataclass(frozen=True, slots=True)
class WrittenCopy:
    """A synced file in `tmp/`, and its row in the ledger as it is going to be prepared."""

    maildir: Maildir
    delivery: Delivery

    @property
    def mailbox(self) -> str:
        return self.delivery.mailbox

    def discard(self) -> None:
        """Remove the file, as far as the disk lets us; blocking."""
        self.maildir.discard(self.delivery.stem)


@dataclass(frozen=True, slots=True)
class WrittenMail:
    """A mail with its synced copies, and the mailboxes that could not take theirs."""

    mail: RoutedMail
    copies: tuple[WrittenCopy, ...]
    failed: Mapping[str, PostamtError]

    @property
    def handed_over(self) -> bool:
        """Whether another server has a part in this, which may be slow."""
        return self.mail.mailboxes.hands_over(copy.mailbox for copy in self.copies)

    def without(self, failed: Mapping[str, PostamtError]) -> WrittenMail:
        """Return it with these mailboxes' copies given up for now; their files are not touched."""
        if not failed:
            return self
        left = tuple(copy for copy in self.copies if copy.mailbox not in failed)
        return replace(self, copies=left, failed={**self.failed, **failed})

    def gave_up(self, error: PostamtError) -> PublishedMail:
        """Return how it ended if no copy is known to be delivered; the files stay."""
        left = self.without({copy.mailbox: error for copy in self.copies})
        return PublishedMail(left.mail, (), left.failed)

    def published(self) -> PublishedMail:
        """Return how it ended if every copy that is left is delivered."""
        return PublishedMail(self.mail, tuple(c.delivery for c in self.copies), self.failed)


@dataclass(frozen=True, slots=True)
class PublishedMail:
    """How the protocol ended for a mail; `failed` are the mailboxes that still wait, and why."""

    mail: RoutedMail
    delivered: tuple[Delivery, ...]
    failed: Mapping[str, PostamtError]
