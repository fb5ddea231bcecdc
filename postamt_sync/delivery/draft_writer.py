"""Step 1 for one mail: a draft in `tmp/` of each mailbox, written while the mail comes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from functools import partial

from postamt_sync.delivery.asking import Asking
from postamt_sync.delivery.mailbox_threads import LateError
from postamt_sync.delivery.open_copy import Content, OpenCopy, WrittenCopy
from postamt_sync.delivery.pending_mail import (
    DeliveryStep,
    RoutedMail,
    StepObserver,
    WrittenMail,
    observed,
)
from postamt_sync.errors import PostamtError


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
    ) -> None:
        self._mail = mail
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
        """Sync every copy's bytes, not the directories; discard those that fail.

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

    def _end(self, copy: OpenCopy, sha256: str) -> tuple[Callable[..., WrittenCopy], Content]:
        content = Content(sha256, self._mail.received_at, self._mail.flags, self._mail.task.edition)
        return copy.finish, content

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
