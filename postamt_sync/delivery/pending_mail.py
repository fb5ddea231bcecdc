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
from collections.abc import Callable, Collection, Container, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from postamt_sync.delivery.asking import Asking
from postamt_sync.delivery.mailbox_threads import LateError
from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.open_copy import Content, OpenCopy, WrittenCopy
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


class DraftWriter:
    """The drafts of one mail. Blocking, one thread at a time; a mailbox that fails stops no other.

    `open` it, `write` what comes, then `finish` it, or `discard` it whenever that is not to be.
    Mailboxes whose disk is late may be gone on with one by one, each in a thread of its own.
    """

    def __init__(
        self,
        mail: RoutedMail,
        observer: StepObserver,
        asking: Asking | None = None,
        watched: Container[Path] = (),
    ) -> None:
        """`watched` are roots whose file system is going to be synced as a whole."""
        self._mail = mail
        self._watched = watched
        self._observer = observer
        self._asking = asking or Asking()
        self._copies: dict[str, OpenCopy] = {}
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
        names = tuple(addressee.mailbox for addressee in self._mail.addressees)
        with observed(self._observer, DeliveryStep.WRITE):
            for name in self._mail.mailboxes.quick_first(names):
                try:
                    self._open(name, first, self._asking)
                except PostamtError as error:
                    self._failed[name] = error

    def write(self, chunks: Sequence[bytes]) -> None:
        """Append chunks to every copy; those that fail are discarded."""
        with observed(self._observer, DeliveryStep.WRITE):
            for copy in list(self._copies.values()):
                try:
                    self._asking.ask(copy.maildir, DeliveryStep.WRITE, copy.write, chunks)
                except PostamtError as error:
                    self._drop(copy, error)

    def finish(self, sha256: str, known: Collection[str] = ()) -> WrittenMail:
        """Sync every copy's bytes, unless its file system is watched; discard those that fail.

        Directories are not synced.

        `known` are mailboxes that turned out to have this content: their copies are discarded.
        """
        for copy in [copy for copy in self._copies.values() if copy.mailbox in known]:
            self._drop(copy)
        written = []
        with observed(self._observer, DeliveryStep.SYNC_FILE):
            for copy in list(self._copies.values()):
                try:
                    written.append(self._finish(copy, sha256, self._asking))
                except LateError as error:
                    self._failed[copy.mailbox] = error
                except PostamtError as error:
                    self._drop(copy, error)
        return WrittenMail(self._mail, tuple(written), self.failed)

    def go_on(self, mailbox: str, body: bytes, sha256: str) -> Callable[[], WrittenMail]:
        """Go on with the copy of a mailbox that was late, as far as `finish` does, without others.

        Its bytes are being synced on return; call what is returned to wait for that.
        """
        asking = self._asking.patient()
        try:
            with observed(self._observer, DeliveryStep.WRITE):
                copy = self._copies.get(mailbox) or self._open(mailbox, body, asking)
            asking.start(copy.maildir, self._key(DeliveryStep.SYNC_FILE), *self._end(copy, sha256))
        except PostamtError as error:
            failed = WrittenMail(self._mail, (), {mailbox: error})
            return lambda: failed
        return partial(self._wait_for, copy, sha256, asking)

    def discard(self) -> None:
        """Close and remove every draft, finished or not."""
        for copy in list(self._copies.values()):
            self._drop(copy)

    def _open(self, name: str, first: bytes, asking: Asking) -> OpenCopy:
        addressee = next(a for a in self._mail.addressees if a.mailbox == name)
        maildir = self._mail.mailboxes.find(name, by_us=addressee.by_us)
        key = self._key(DeliveryStep.WRITE)
        copy = asking.ask(
            maildir,
            key,
            OpenCopy.begin,
            self._mail.mailboxes,
            name,
            self._mail.stem,
            self._mail.folder,
            addressee.tag_folder,
            [chunk for chunk in (addressee.extra_headers, first) if chunk],
            addressee.by_us,
            release=OpenCopy.discard,
        )
        self._copies[name] = copy
        return copy

    def _finish(self, copy: OpenCopy, sha256: str, asking: Asking) -> WrittenCopy:
        key = self._key(DeliveryStep.SYNC_FILE)
        return asking.ask(copy.maildir, key, *self._end(copy, sha256))

    def _end(self, copy: OpenCopy, sha256: str) -> tuple[Callable[..., WrittenCopy], Any, bool]:
        content = Content(sha256, self._mail.received_at, self._mail.flags, self._mail.task.edition)
        return copy.finish, content, copy.maildir.root not in self._watched

    def _wait_for(self, copy: OpenCopy, sha256: str, asking: Asking) -> WrittenMail:
        try:
            with observed(self._observer, DeliveryStep.SYNC_FILE):
                return WrittenMail(self._mail, (self._finish(copy, sha256, asking),), {})
        except PostamtError as error:
            self._drop(copy)
            return WrittenMail(self._mail, (), {copy.mailbox: error})

    def _key(self, step: DeliveryStep) -> Hashable:
        return step, self._mail.stem

    def _drop(self, copy: OpenCopy, error: PostamtError | None = None) -> None:
        threads = copy.maildir.threads
        if threads is not None and not threads.hang() and threads.late():
            threads.later(copy.discard, hang=False)
        else:
            copy.maildir.clean_up(copy.discard)
        del self._copies[copy.mailbox]
        if error is not None:
            self._failed[copy.mailbox] = error
