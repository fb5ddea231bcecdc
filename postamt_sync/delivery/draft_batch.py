"""Step 1 for many small mails of one mailbox: drafts in `tmp/`, in few turns of its threads.

Nothing is synced here: it is for file systems that are synced as a whole afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from postamt_sync.delivery.asking import Asking
from postamt_sync.delivery.disk import HeldDirectory
from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.delivery.open_copy import Content, OpenCopy, WrittenCopy
from postamt_sync.delivery.pending_mail import DeliveryStep, FetchedMail, MailboxTarget
from postamt_sync.errors import PostamtError

AT_ONCE = 16
"""Drafts in one turn. A disk is late when no turn has ended for a while, so they are short; and a
turn has as many files open."""

Written = WrittenCopy | PostamtError


@dataclass(frozen=True, slots=True)
class SmallDraft:
    """One mail's copy for one mailbox; `number` is the mail's in its group."""

    number: int
    mail: FetchedMail
    addressee: MailboxTarget


@dataclass(frozen=True, slots=True)
class DraftBatch:
    """Some drafts of one mailbox, written in one turn."""

    mailbox: str
    drafts: tuple[SmallDraft, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(draft.number for draft in self.drafts)

    def write(self, asking: Asking) -> dict[int, Written]:
        """Return by number what was written, or why it could not be; then there is no file.

        Raises PostamtError for all of them, LateError where the disk is late and they may be asked
        for again.
        """
        first = self.drafts[0]
        mailboxes, by_us = first.mail.mail.mailboxes, first.addressee.by_us
        done = asking.ask(
            mailboxes.find(self.mailbox, by_us=by_us),
            (DeliveryStep.WRITE, self.mailbox, self.numbers),
            _write,
            mailboxes,
            self,
            by_us,
            release=_discard,
        )
        return dict(zip(self.numbers, done, strict=True))


def batches(drafts: Sequence[SmallDraft]) -> Iterator[DraftBatch]:
    """Yield the drafts by mailbox, so many at once, each mailbox's in their order.

    Those that a reload came between have Maildirs of the same name, but perhaps not the same.
    """
    by_mailbox: dict[tuple[str, bool, int], list[SmallDraft]] = {}
    for draft in drafts:
        key = (draft.addressee.mailbox, draft.addressee.by_us, id(draft.mail.mail.mailboxes))
        by_mailbox.setdefault(key, []).append(draft)
    for (mailbox, *_), those in by_mailbox.items():
        for start in range(0, len(those), AT_ONCE):
            yield DraftBatch(mailbox, tuple(those[start : start + AT_ONCE]))


def _write(mailboxes: Mailboxes, batch: DraftBatch, by_us: bool) -> list[Written]:
    """Write them all below one descriptor of the root; for a thread of the mailbox."""
    maildir = mailboxes.open(batch.mailbox, by_us=by_us)
    folders: dict[tuple[str, str], str | PostamtError] = {}
    with maildir.held() as at:
        # Looked at before the drafts are made: see `OpenCopy.begin`.
        inode = maildir.tmp_inode()
        begun: list[OpenCopy | PostamtError] = []
        for draft in batch.drafts:
            wanted = (draft.mail.mail.folder, draft.addressee.tag_folder)
            if wanted not in folders:
                folders[wanted] = _folder(maildir, *wanted)
            folder = folders[wanted]
            begun.append(
                _begin(maildir, at, inode, folder, draft) if isinstance(folder, str) else folder
            )
        return [_finish(copy, draft) for copy, draft in zip(begun, batch.drafts, strict=True)]


def _folder(maildir: Maildir, folder: str, tag_folder: str) -> str | PostamtError:
    try:
        maildir.open_folder(folder)
        return folder or maildir.existing_folder(tag_folder)
    except PostamtError as error:
        return error


def _begin(
    maildir: Maildir, at: HeldDirectory, inode: int, folder: str, draft: SmallDraft
) -> OpenCopy | PostamtError:
    try:
        opened = maildir.begin(draft.mail.mail.stem, at)
    except PostamtError as error:
        return error
    copy = OpenCopy(draft.addressee.mailbox, maildir, folder, inode, opened)
    try:
        copy.write([chunk for chunk in (draft.addressee.extra_headers, draft.mail.body) if chunk])
    except PostamtError as error:
        copy.discard()
        return error
    return copy


def _finish(copy: OpenCopy | PostamtError, draft: SmallDraft) -> Written:
    if isinstance(copy, PostamtError):
        return copy
    mail = draft.mail.mail
    content = Content(draft.mail.sha256, mail.received_at, mail.flags, mail.task.edition)
    try:
        return copy.finish(content, sync=False)
    except PostamtError as error:
        copy.discard()
        return error


def _discard(written: Sequence[Written]) -> None:
    for one in written:
        if isinstance(one, WrittenCopy):
            one.maildir.discard(one.delivery.stem)
