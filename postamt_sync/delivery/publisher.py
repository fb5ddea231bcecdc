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

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from functools import partial

from postamt_sync.delivery.asking import Asking
from postamt_sync.delivery.filename import parse_name, part_of
from postamt_sync.delivery.group import Group, renamed, synced
from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.delivery.pending_mail import (
    DeliveryStep,
    FetchedMail,
    PublishedMail,
    StepObserver,
    WrittenMail,
    no_observer,
    observed,
)
from postamt_sync.errors import PostamtError, TryLaterError
from postamt_sync.events import Events
from postamt_sync.ledger import Delivery, DeliveryState, Prepared, Task
from postamt_sync.ledger.work import Work
from postamt_sync.unexpected import as_trouble

Rest = Callable[[], list[PublishedMail]]
"""What is left to be done for a mailbox whose disk is late. Blocking; returns the mails concerned,
those that are at their end and those that wait for yet another one."""

_UNTIL_RENAMED = {DeliveryStep.SYNC_TMP, DeliveryStep.PUBLISH}


class _ClosedError(TryLaterError):
    """Whoever delivered has ended meanwhile."""


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
        self._closed = threading.Event()

    def publish(
        self,
        mails: Sequence[FetchedMail | WrittenMail],
        later: Callable[[Rest], object] | None = None,
    ) -> list[PublishedMail]:
        """Take mails to their end and return how each ended, in the same order.

        Large mails come with step 1 done. That of small ones is done here, not while each is
        fetched: one thread makes the files of a whole group, and a group's files are synced side by
        side. Errors of ledger and disk are in what is returned.

        With `later` no disk that is late is waited for. It is told what is left to be done for each
        of these mailboxes, each to be done in a thread that has nothing else to do.
        """
        group = Group(mails, self._observer, Asking(hurried=later is not None))
        written = group.write(self._threads.map if self._threads else map)
        ended = group.end(self._go_on(group, written, group.asking))
        if later is not None:
            for name in group.late:
                later(partial(self._end_late, group, name))
        return ended

    def close(self) -> None:
        """Begin no further step for a disk that was late: another may deliver from now on."""
        self._closed.set()

    def _go_on(
        self,
        group: Group,
        written: Sequence[WrittenMail],
        asking: Asking,
        begin: DeliveryStep = DeliveryStep.SYNC_TMP,
        *,
        alone: bool = False,
    ) -> list[PublishedMail]:
        """Go on from a step; `alone`: with what is left of mails for one mailbox."""
        mails = list(written)
        if begin is DeliveryStep.SYNC_TMP:
            with self._step(DeliveryStep.SYNC_TMP):
                mails = group.leave(
                    begin, mails, synced(mails, asking, group.watches, tmp_only=True)
                )
            self._must_be_open(alone)
            try:
                with self._step(DeliveryStep.PREPARE):
                    concerned = [m for m in mails if not alone or m.copies or m.failed]
                    self._work.prepare([_prepared(mail, alone=alone) for mail in concerned])
            except PostamtError as error:
                # A commit that failed may still have become durable: the drafts must stay.
                return [mail.gave_up(error) for mail in mails]
        if begin in _UNTIL_RENAMED:
            with self._step(DeliveryStep.PUBLISH):
                mails = group.leave(DeliveryStep.PUBLISH, mails, renamed(mails, asking))
        self._must_be_open(alone)
        if begin is not DeliveryStep.MARK:
            with self._step(DeliveryStep.SYNC_FOLDERS):
                left = synced(mails, asking, group.watches, tmp_only=False)
                mails = group.leave(DeliveryStep.SYNC_FOLDERS, mails, left)
        with self._step(DeliveryStep.MARK):
            marked, generations = self._marked(mails, asking)
            mails = group.leave(DeliveryStep.MARK, mails, marked)
        self._must_be_open(alone)
        try:
            with self._step(DeliveryStep.SETTLE):
                self._work.settle(
                    [
                        (mail.mail.task, [copy.delivery for copy in mail.copies])
                        for mail in mails
                        if mail.copies or not alone
                    ],
                    generations,
                )
        except PostamtError as error:
            return [mail.gave_up(error) for mail in mails]
        return [mail.published() for mail in mails]

    def _end_late(self, group: Group, name: str) -> list[PublishedMail]:
        """Bring a mailbox's copies to their end whose disk was late, each from where it stood.

        Returns how the mails concerned ended; those that wait for yet another disk are not at
        their end.
        """
        numbers = {late.number for late in group.late[name]}
        parts: dict[int, tuple[PublishedMail, ...]] = dict.fromkeys(numbers, ())
        asking = group.asking.patient()

        def go_on(mails: Sequence[WrittenMail], begin: DeliveryStep) -> None:
            for number, part in enumerate(self._go_on(group, mails, asking, begin, alone=True)):
                if number in numbers:
                    parts[number] = (*parts[number], part)

        try:
            for step, copies in group.shares(name):
                go_on(group.rest(copies), step)
            if late := group.write_late(name):
                nothing = group.rest({})
                go_on([late.get(n, mail) for n, mail in enumerate(nothing)], DeliveryStep.SYNC_TMP)
        except Exception as error:  # noqa: BLE001  nobody else's mail waits behind a bug
            trouble = as_trouble(error)
            if not isinstance(error, _ClosedError):
                self._events.internal_error(error)
            for number, done in parts.items():
                if not done:
                    lost = group.mails[number].mail
                    parts[number] = (PublishedMail(lost, (), {name: trouble}),)
        return group.end_share(name, parts)

    def _must_be_open(self, alone: bool) -> None:
        if alone and self._closed.is_set():
            raise _ClosedError("This delivery has ended.", "The mail is delivered by the next one.")

    def _marked(
        self, mails: Sequence[WrittenMail], asking: Asking
    ) -> tuple[list[WrittenMail], dict[str, int]]:
        """Mark each root once; where that fails, give up its copies for now."""
        generations: dict[str, int] = {}
        failed: dict[str, PostamtError] = {}
        for root, maildir in {
            c.delivery.maildir: c.maildir for m in mails for c in m.copies
        }.items():
            try:
                generations |= asking.ask(maildir, DeliveryStep.MARK, self._mark_alone, maildir)
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
                mailboxes.must_not_be_late(copy.maildir)
                maildir = mailboxes.at(copy.maildir)
                if maildir.call(self._republish, maildir, task, copy, mailboxes):
                    with self._step(DeliveryStep.MARK):
                        generations = maildir.call(self._mark_alone, maildir)
                    with self._step(DeliveryStep.SETTLE):
                        self._work.settle([(task, [copy])], generations)
                    self._events.delivered_already(task.mail, copy.mailbox)
            except PostamtError as error:
                failed[copy.mailbox] = error
        return failed

    def _republish(
        self, maildir: Maildir, task: Task, copy: Delivery, mailboxes: Mailboxes
    ) -> bool:
        """Do the rename if it did not happen; False: the copy is written again."""
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


def _prepared(written: WrittenMail, *, alone: bool) -> Prepared:
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
        alone=alone,
    )
