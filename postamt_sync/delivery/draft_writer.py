"""Step 1 of the protocol for one mail: its copies written into `tmp/`, side by side, and synced."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from postamt_sync.delivery.filename import final_name
from postamt_sync.delivery.maildir import Draft, Maildir
from postamt_sync.delivery.pending_mail import MailboxTarget, RoutedMail, WrittenCopy, WrittenMail
from postamt_sync.delivery.steps import DeliveryStep, StepObserver, observed
from postamt_sync.errors import PostamtError
from postamt_sync.ledger import Delivery, DeliveryState


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
        addressees = {addressee.mailbox: addressee for addressee in self._mail.addressees}
        extra: dict[str, bytes] = {}
        for name in self._mail.mailboxes.quick_first(tuple(addressees)):
            try:
                self._copies.append(self._begin(addressees[name]))
                extra[name] = addressees[name].extra_headers
            except PostamtError as error:
                self._failed[name] = error
        self._append([first], extra)

    def write(self, chunks: Sequence[bytes]) -> None:
        """Append chunks to every copy; those that fail are discarded."""
        self._append(chunks, {})

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
                    written.append(self._finish(copy, sha256))
                except PostamtError as error:
                    self._drop(copy, error)
        return WrittenMail(self._mail, tuple(written), self.failed)

    def discard(self) -> None:
        """Close and remove every draft, finished or not."""
        for copy in list(self._copies):
            self._drop(copy)

    def _begin(self, addressee: MailboxTarget) -> _OpenCopy:
        mail = self._mail
        maildir = mail.mailboxes.open(addressee.mailbox)
        maildir.open_folder(mail.folder)
        folder = mail.folder or maildir.existing_folder(addressee.tag_folder)
        # Looked at before the draft is made: should another directory take this one's place, then
        # that the draft is not in it must not be taken for a rename.
        inode = maildir.tmp_inode()
        return _OpenCopy(addressee.mailbox, maildir, folder, inode, maildir.begin(mail.stem))

    def _append(self, chunks: Sequence[bytes], extra: dict[str, bytes]) -> None:
        with observed(self._observer, DeliveryStep.WRITE):
            for copy in list(self._copies):
                before = extra.get(copy.mailbox)
                try:
                    for chunk in (before, *chunks) if before else chunks:
                        copy.draft.write(chunk)
                except PostamtError as error:
                    self._drop(copy, error)

    def _finish(self, copy: _OpenCopy, sha256: str) -> WrittenCopy:
        written = copy.draft.finish(self._mail.received_at)
        delivery = Delivery(
            mailbox=copy.mailbox,
            stem=written.stem,
            state=DeliveryState.PREPARED,
            maildir=str(copy.maildir.root),
            folder=copy.folder,
            name=final_name(written.stem, written.size, written.vsize),
            sha256=sha256,
            tmp_inode=copy.tmp_inode,
            edition=self._mail.task.edition,
        )
        return WrittenCopy(copy.maildir, delivery)

    def _drop(self, copy: _OpenCopy, error: PostamtError | None = None) -> None:
        copy.draft.discard()
        self._copies.remove(copy)
        if error is not None:
            self._failed[copy.mailbox] = error
