"""The delivery protocol for a group of mails: what is ready shares the directory syncs and commits.

    write    tmp/<stem>, synced, then the directory        the mail is durable, invisible
    prepare  ledger commit with the final name             the intent
    publish  rename into new/, sync both directories       the delivery
    mark     the root's marker with its next generation    what the root holds
    settle   ledger commit                                 the knowledge

A retry reads the truth off the file. *Prepared* and still in `tmp/`: go on with publish. *Prepared*
and not there: the rename happened, wherever a client has moved or expunged the mail since. One
mailbox that fails holds up no other.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager

from postamt_sync.delivery.filename import parse_name, part_of
from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.delivery.pending_mail import (
    DeliveryStep,
    DraftWriter,
    FetchedMail,
    PublishedMail,
    StepObserver,
    WrittenCopy,
    WrittenMail,
    no_observer,
    observed,
)
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.ledger import Delivery, DeliveryState, Prepared, Task
from postamt_sync.ledger.work import Work


class Publisher:
    """Carries out the protocol. Blocking: call from a worker thread, one group at a time."""

    def __init__(
        self,
        work: Work,
        events: Events,
        observer: StepObserver = no_observer,
        threads: Executor | None = None,
    ) -> None:
        """`threads` sync files side by side, which a journal rewards; None: one by one."""
        self._work = work
        self._events = events
        self._observer = observer
        self._threads = threads

    def publish(self, mails: Sequence[FetchedMail | WrittenMail]) -> list[PublishedMail]:
        """Take mails to their end and return how each ended, in the same order.

        Large mails come with step 1 done. That of small ones is done here, not while each is
        fetched: one thread makes the files of a whole group, and a group's files are synced side by
        side. Errors of ledger and disk are in what is returned.
        """
        written = self._write_small(mails)
        with self._step(DeliveryStep.SYNC_TMP):
            written = _synced(written, tmp_only=True)
        try:
            with self._step(DeliveryStep.PREPARE):
                self._work.prepare([_prepared(mail) for mail in written])
        except PostamtError as error:
            # A commit that failed may still have become durable: the drafts must stay.
            return [mail.gave_up(error) for mail in written]
        with self._step(DeliveryStep.PUBLISH):
            written = _renamed(written)
        with self._step(DeliveryStep.SYNC_FOLDERS):
            written = _synced(written, tmp_only=False)
        with self._step(DeliveryStep.MARK):
            written, generations = self._marked(written)
        try:
            with self._step(DeliveryStep.SETTLE):
                self._work.settle(
                    [(mail.mail.task, [copy.delivery for copy in mail.copies]) for mail in written],
                    generations,
                )
        except PostamtError as error:
            return [mail.gave_up(error) for mail in written]
        return [mail.published() for mail in written]

    def _write_small(self, mails: Sequence[FetchedMail | WrittenMail]) -> list[WrittenMail]:
        small = [mail for mail in mails if isinstance(mail, FetchedMail)]
        drafts = [DraftWriter(mail.mail, self._observer) for mail in small]
        for mail, copies in zip(small, drafts, strict=True):
            copies.open(mail.body)
        side_by_side = self._threads.map if self._threads else map
        digests = [mail.sha256 for mail in small]
        finished = iter(list(side_by_side(DraftWriter.finish, drafts, digests)))
        return [next(finished) if isinstance(mail, FetchedMail) else mail for mail in mails]

    def _marked(self, mails: Sequence[WrittenMail]) -> tuple[list[WrittenMail], dict[str, int]]:
        """Mark each root once; where that fails, give up its copies for now."""
        generations: dict[str, int] = {}
        failed: dict[str, PostamtError] = {}
        for root, maildir in {
            c.delivery.maildir: c.maildir for m in mails for c in m.copies
        }.items():
            try:
                generations |= self._mark(maildir)
            except PostamtError as error:
                failed[root] = error
        left = [
            mail.without(
                {
                    c.mailbox: failed[c.delivery.maildir]
                    for c in mail.copies
                    if c.delivery.maildir in failed
                }
            )
            for mail in mails
        ]
        return left, generations

    def _mark(self, maildir: Maildir) -> dict[str, int]:
        return maildir.call(self._mark_alone, maildir)

    def _mark_alone(self, maildir: Maildir) -> dict[str, int]:
        with self._work.roots.alone_with(maildir.root):
            marker = maildir.mark()
        return {str(maildir.root): marker.generation} if marker else {}

    def resume(self, task: Task, mailboxes: Mailboxes) -> dict[str, PostamtError]:
        """Finish the copies of a mail that an earlier attempt prepared; return what still fails."""
        failed: dict[str, PostamtError] = {}
        for copy in task.deliveries:
            if copy.state is not DeliveryState.PREPARED:
                continue
            try:
                maildir = mailboxes.at(copy.maildir)
                if maildir.call(self._republish, maildir, task, copy, mailboxes):
                    with self._step(DeliveryStep.MARK):
                        generations = self._mark(maildir)
                    with self._step(DeliveryStep.SETTLE):
                        self._work.settle([(task, [copy])], generations)
                    self._events.delivered_already(task.mail, copy.mailbox)
            except PostamtError as error:
                failed[copy.mailbox] = error
        return failed

    def _republish(
        self, maildir: Maildir, task: Task, copy: Delivery, mailboxes: Mailboxes
    ) -> bool:
        """Do the rename if it did not happen; False: the copy is written anew."""
        maildir.check()
        folder = copy.folder
        size = maildir.draft_size(copy.stem)
        if size is not None:
            if (name := parse_name(copy.name)) is None or name.size != size:
                # A commit that failed may have been durable, and then this is a later attempt.
                maildir.discard(copy.stem)
                self._work.start_anew(task, copy)
                return False
            if folder not in mailboxes.folders and not maildir.has_folder(folder):
                folder = ""  # its owner has deleted it since, and we never make it again
            maildir.open_folder(folder)
            with self._step(DeliveryStep.PUBLISH):
                maildir.publish(copy.stem, folder, copy.name)
        elif not _proves(copy, maildir):
            found = maildir.holds(copy.stem)
            self._events.delivery_in_doubt(task.mail, copy.mailbox, found)
            if not found:
                self._work.start_anew(task, copy)
                return False
        with self._step(DeliveryStep.SYNC_FOLDERS):
            maildir.sync_published(folder, part_of(copy.name))
        return True

    def _step(self, step: DeliveryStep) -> AbstractContextManager[None]:
        return observed(self._observer, step)


def _proves(copy: Delivery, maildir: Maildir) -> bool:
    """Tell whether a draft that is missing was renamed: nobody else can have taken it yet."""
    age = time.time() - (copy.prepared_at or 0)
    return 0 <= age < maildir.swept_after and copy.tmp_inode == maildir.tmp_inode()


def _synced(mails: Sequence[WrittenMail], *, tmp_only: bool) -> list[WrittenMail]:
    """Sync each directory once; where that fails, give up the copies that lie in it."""
    outcome: dict[tuple[str, str, str], PostamtError | None] = {}
    synced = []
    for mail in mails:
        failed: dict[str, PostamtError] = {}
        for copy in mail.copies:
            delivery = copy.delivery
            where = ("", "tmp") if tmp_only else (delivery.folder, part_of(delivery.name))
            place = (delivery.maildir, *where)
            if place not in outcome:
                outcome[place] = _sync(copy, tmp_only=tmp_only)
            if (error := outcome[place]) is not None:
                if tmp_only:
                    copy.discard()
                failed[copy.mailbox] = error
        synced.append(mail.without(failed))
    return synced


def _sync(copy: WrittenCopy, *, tmp_only: bool) -> PostamtError | None:
    try:
        if tmp_only:
            copy.maildir.call(copy.maildir.sync_tmp)
        else:
            where = copy.delivery.folder, part_of(copy.delivery.name)
            copy.maildir.call(copy.maildir.sync_published, *where)
    except PostamtError as error:
        return error
    return None


def _renamed(mails: Sequence[WrittenMail]) -> list[WrittenMail]:
    """Publish every copy, a mailbox's all together; give up, for now, those that cannot be."""
    copies: dict[str, list[WrittenCopy]] = {}
    for mail in mails:
        for copy in mail.copies:
            copies.setdefault(copy.delivery.maildir, []).append(copy)
    failed: dict[tuple[str, str], PostamtError] = {}
    for root, those in copies.items():
        try:
            why = those[0].maildir.call(_publish_all, those)
        except PostamtError as error:
            why = {copy.delivery.stem: error for copy in those}
        failed |= {(root, stem): error for stem, error in why.items()}
    return [
        mail.without(
            {
                copy.mailbox: failed[place]
                for copy in mail.copies
                if (place := (copy.delivery.maildir, copy.delivery.stem)) in failed
            }
        )
        for mail in mails
    ]


def _publish_all(copies: Sequence[WrittenCopy]) -> dict[str, PostamtError]:
    failed: dict[str, PostamtError] = {}
    for copy in copies:
        delivery = copy.delivery
        try:
            copy.maildir.publish(delivery.stem, delivery.folder, delivery.name)
        except PostamtError as error:
            failed[delivery.stem] = error
    return failed


def _prepared(written: WrittenMail) -> Prepared:
    mail = written.mail
    return Prepared(
        task=mail.task,
        etag=mail.etag,
        size=mail.size,
        last_modified=mail.last_modified,
        evidence=mail.evidence,
        copies=tuple(copy.delivery for copy in written.copies),
        failed=tuple(
            (Delivery(mailbox, mail.stem, DeliveryState.WAITING), str(error))
            for mailbox, error in written.failed.items()
        ),
        ask_at=mail.ask_at,
        absent=mail.absent,
    )
