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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from postamt_sync.delivery.draft import Draft
from postamt_sync.delivery.filename import final_name
from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.errors import PostamtError
from postamt_sync.ledger import Delivery, DeliveryState, Task
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
        mailboxes = self.mail.mailboxes
        return mailboxes.hands_over(a.mailbox for a in self.mail.addressees if not a.by_us)

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
        self.maildir.clean_up(self.maildir.discard, self.delivery.stem)


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


@dataclass(frozen=True, slots=True)
class _OpenCopy:
    mailbox: str
    maildir: Maildir
    folder: str
    tmp_inode: int
    draft: Draft


class DraftWriter:
    """The drafts of one mail. Blocking, one thread at a time; a mailbox that fails stops no other.

    `open` it, `write` what comes, then `finish` it, or `discard` it whenever that is not to be.
    """

    def __init__(self, mail: RoutedMail, observer: StepObserver) -> None:
        self._mail = mail
        self._observer = observer
        self._copies: list[_OpenCopy] = []
        self._failed: dict[str, PostamtError] = dict(mail.owed)

    @property
    def has_copies(self) -> bool:
        """Whether any mailbox can still take its copy."""
        return bool(self._copies)

    @property
    def failed(self) -> dict[str, PostamtError]:
        """The mailboxes that cannot take their copy now, and why."""
        return dict(self._failed)

    def open(self, first: bytes) -> None:
        """Start a copy for every addressee with the first bytes of the mail."""
        mail = self._mail
        addressees = {addressee.mailbox: addressee for addressee in mail.addressees}
        with observed(self._observer, DeliveryStep.WRITE):
            for name in mail.mailboxes.quick_first(tuple(addressees)):
                maildir = mail.mailboxes.find(name, by_us=addressees[name].by_us)
                try:
                    copy = maildir.call(self._begin, addressees[name], first, release=_forget)
                    self._copies.append(copy)
                except PostamtError as error:
                    self._failed[name] = error

    def write(self, chunks: Sequence[bytes]) -> None:
        """Append chunks to every copy; those that fail are discarded."""
        with observed(self._observer, DeliveryStep.WRITE):
            for copy in list(self._copies):
                try:
                    copy.maildir.call(_write_all, copy.draft, chunks)
                except PostamtError as error:
                    self._drop(copy, error)

    def finish(self, sha256: str, known: Collection[str] = ()) -> WrittenMail:
        """Sync every copy's bytes; those that fail are discarded. Directories are not synced.

        `known` are mailboxes that turned out to have this content: their copies are discarded.
        """
        for copy in [copy for copy in self._copies if copy.mailbox in known]:
            self._drop(copy)
        written = []
        with observed(self._observer, DeliveryStep.SYNC_FILE):
            for copy in list(self._copies):
                try:
                    written.append(copy.maildir.call(self._finish, copy, sha256))
                except PostamtError as error:
                    self._drop(copy, error)
        return WrittenMail(self._mail, tuple(written), self.failed)

    def discard(self) -> None:
        """Close and remove every draft, finished or not."""
        for copy in list(self._copies):
            self._drop(copy)

    def _begin(self, addressee: MailboxTarget, first: bytes) -> _OpenCopy:
        mail = self._mail
        maildir = mail.mailboxes.open(addressee.mailbox, by_us=addressee.by_us)
        maildir.open_folder(mail.folder)
        folder = mail.folder or maildir.existing_folder(addressee.tag_folder)
        # Looked at before the draft is made: should another directory take this one's place, then
        # that the draft is not in it must not be taken for a rename.
        inode = maildir.tmp_inode()
        draft = maildir.begin(mail.stem)
        try:
            _write_all(draft, [b for b in (addressee.extra_headers, first) if b])
        except PostamtError:
            draft.discard()
            raise
        return _OpenCopy(addressee.mailbox, maildir, folder, inode, draft)

    def _finish(self, copy: _OpenCopy, sha256: str) -> WrittenCopy:
        written = copy.draft.finish(self._mail.received_at)
        delivery = Delivery(
            mailbox=copy.mailbox,
            stem=written.stem,
            state=DeliveryState.PREPARED,
            maildir=str(copy.maildir.root),
            folder=copy.folder,
            name=final_name(written.stem, written.size, written.vsize, self._mail.flags),
            sha256=sha256,
            tmp_inode=copy.tmp_inode,
            edition=self._mail.task.edition,
        )
        return WrittenCopy(copy.maildir, delivery)

    def _drop(self, copy: _OpenCopy, error: PostamtError | None = None) -> None:
        copy.maildir.clean_up(copy.draft.discard)
        self._copies.remove(copy)
        if error is not None:
            self._failed[copy.mailbox] = error


def _write_all(draft: Draft, chunks: Sequence[bytes]) -> None:
    for chunk in chunks:
        draft.write(chunk)


def _forget(copy: _OpenCopy) -> None:
    copy.draft.discard()
