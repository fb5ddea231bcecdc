"""A mail on its way, a type for each stage; none of them changes.

    RoutedMail       its header block is read: what it is, who gets a copy, in which folder
    FetchedMail      a small one, its body in memory
    WrittenMail      its copies lie in `tmp/`, their bytes synced: step 1 is done
    PublishedMail    the protocol has been gone through: who has it and who has not

The fetcher makes the first three, a large mail being written while it comes. The publisher writes
small ones, many at once, and makes the last. Both write with a `DraftWriter`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from postamt_sync.delivery.mailbox_threads import LateError
from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.open_copy import WrittenCopy
from postamt_sync.errors import PostamtError
from postamt_sync.ledger import Delivery, Task
from postamt_sync.mail.arrival import Evidence


class DeliveryStep(enum.Enum):
    """The durable steps of a delivery, in their order.

    A crash before or after any of them leaves a state from which the next attempt ends with exactly
    one file in each mailbox; the kill test goes through them all.
    """

    WRITE = "write the file into tmp/"
    SYNC_FILE = "sync the file"
    SYNC_TMP = "sync tmp/"
    PREPARE = "commit: prepared"
    PUBLISH = "rename into new/"
    SYNC_FOLDERS = "sync new/ and tmp/"
    MARK = "replace the root's marker"
    SETTLE = "commit: delivered"


StepObserver = Callable[[DeliveryStep, bool], None]
"""Called before (False) and after (True) every durable step, in the thread that takes it."""


def no_observer(step: DeliveryStep, done: bool) -> None:
    """Ignore every step."""


@contextmanager
def observed(observer: StepObserver, step: DeliveryStep) -> Iterator[None]:
    """Tell the observer of a step; one that raises is never told as done."""
    observer(step, False)
    yield
    observer(step, True)


@dataclass(frozen=True, slots=True)
class MailboxTarget:
    """A mailbox that is to be given a copy, and what is particular to its copy."""

    mailbox: str
    tag_folder: str = ""
    """Foreign text: the folder that a tag asks for, used if there is one of that name."""
    extra_headers: bytes = b""
    """What its copy begins with."""
    by_us: bool = False
    """Whether we write its file also where another server gets what comes for the mailbox."""


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
    flags: str = ""
    """What the mail bears from the start, as Maildir's letters; then it belongs in `cur/`."""
    absent: tuple[str, ...] = ()
    """Mailboxes that are not to be given it: it is older than what they had at a loss."""
    unpublished: Mapping[str, PostamtError] = field(default_factory=dict)
    """Mailboxes in which an earlier copy is prepared and could not be published yet."""
    owed: Mapping[str, PostamtError] = field(default_factory=dict)
    """Mailboxes that are to have a copy and can be given none now: an earlier one, of another
    content, comes first, or their disk does not answer."""
    sender: str = ""
    """Whom it claims to be from, an address; "" where that is in no log."""
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
        mailboxes = self.mail.mailboxes
        return mailboxes.hands_over(a.mailbox for a in self.mail.addressees if not a.by_us)

    def gave_up(self, error: PostamtError) -> PublishedMail:
        """Return how it ended if nothing of it could be written."""
        failed = {a.mailbox: error for a in self.mail.addressees}
        return PublishedMail(self.mail, (), {**self.mail.owed, **failed})


@dataclass(frozen=True, slots=True)
class WrittenMail:
    """A mail with its synced copies, and the mailboxes that could not take theirs."""

    mail: RoutedMail
    copies: tuple[WrittenCopy, ...]
    failed: Mapping[str, PostamtError]

    @property
    def handed_over(self) -> bool:
        """Whether another server has a part in this, which may be slow."""
        return any(copy.maildir.hands_over for copy in self.copies)

    def without(self, failed: Mapping[str, PostamtError]) -> WrittenMail:
        """Return it with these mailboxes' copies given up for now; their files are not touched."""
        if not failed:
            return self
        left = tuple(copy for copy in self.copies if copy.mailbox not in failed)
        return replace(self, copies=left, failed={**self.failed, **failed})

    def gave_up(self, error: PostamtError) -> PublishedMail:
        """Return how it ended if no copy is known to be delivered; the files stay."""
        return self.without({copy.mailbox: error for copy in self.copies}).published()

    def published(self) -> PublishedMail:
        """Return how it ended if every copy that is left is delivered."""
        late = tuple(name for name, why in self.failed.items() if isinstance(why, LateError))
        failed = {name: why for name, why in self.failed.items() if name not in late}
        return PublishedMail(self.mail, tuple(c.delivery for c in self.copies), failed, late)


@dataclass(frozen=True, slots=True)
class PublishedMail:
    """How the protocol ended for a mail; `failed` are the mailboxes that still wait, and why."""

    mail: RoutedMail
    delivered: tuple[Delivery, ...]
    failed: Mapping[str, PostamtError]
    late: tuple[str, ...] = ()
    """Mailboxes whose copies are still under way: this is not its end."""
    is_rest: bool = False
    """Whether the others' copies were told of before."""
