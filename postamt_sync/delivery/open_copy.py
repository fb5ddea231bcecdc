"""One mailbox's copy of a mail in `tmp/`: while it is written, and when its bytes are synced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postamt_sync.delivery.draft import Draft
from postamt_sync.delivery.filename import final_name
from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.errors import PostamtError
from postamt_sync.ledger import Delivery, DeliveryState


@dataclass(frozen=True, slots=True)
class WrittenCopy:
    """A complete file in `tmp/`, and its row in the ledger as it is going to be prepared."""

    maildir: Maildir
    delivery: Delivery

    @property
    def mailbox(self) -> str:
        return self.delivery.mailbox

    def discard(self) -> None:
        """Remove the file, as far as the disk lets us; blocking."""
        self.maildir.clean_up(self.maildir.discard, self.delivery.stem)


@dataclass(frozen=True, slots=True)
class Content:
    """What is known of a mail once it is read to its end."""

    sha256: str
    received_at: float
    flags: str
    edition: int


@dataclass(frozen=True, slots=True)
class OpenCopy:
    """A copy that is being written. Blocking; for a thread of its mailbox."""

    mailbox: str
    maildir: Maildir
    folder: str
    tmp_inode: int
    draft: Draft

    @classmethod
    def begin(
        cls,
        mailboxes: Mailboxes,
        mailbox: str,
        stem: str,
        folder: str,
        tag_folder: str,
        chunks: Sequence[bytes],
        by_us: bool,
    ) -> OpenCopy:
        """Make the file and write its first bytes; `tag_folder` is used where `folder` is "".

        `by_us`: also where another server gets what comes for the mailbox.

        Raises TryLaterError; then there is no file.
        """
        maildir = mailboxes.open(mailbox, by_us=by_us)
        maildir.open_folder(folder)
        folder = folder or maildir.existing_folder(tag_folder)
        # Looked at before the draft is made: should another directory take this one's place, then
        # that the draft is not in it must not be mistaken for a rename.
        inode = maildir.tmp_inode()
        draft = maildir.begin(stem)
        copy = cls(mailbox, maildir, folder, inode, draft)
        try:
            copy.write(chunks)
        except PostamtError:
            copy.discard()
            raise
        return copy

    def write(self, chunks: Sequence[bytes]) -> None:
        """Append bytes; raises TryLaterError."""
        for chunk in chunks:
            self.draft.write(chunk)

    def finish(self, content: Content, sync: bool = True) -> WrittenCopy:
        """Sync the file's bytes and close it; raises TryLaterError, then it must be discarded.

        Without `sync` they are not durable until the file system is synced as a whole.
        """
        written = self.draft.finish(content.received_at, sync=sync)
        delivery = Delivery(
            mailbox=self.mailbox,
            stem=written.stem,
            state=DeliveryState.PREPARED,
            maildir=str(self.maildir.root),
            folder=self.folder,
            name=final_name(written.stem, written.size, written.vsize, content.flags),
            sha256=content.sha256,
            tmp_inode=self.tmp_inode,
            edition=content.edition,
        )
        return WrittenCopy(self.maildir, delivery)

    def discard(self) -> None:
        """Close and remove the file, as far as the disk lets us."""
        self.draft.discard()
