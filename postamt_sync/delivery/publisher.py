"""The delivery protocol for a group of mails: what is ready shares the directory syncs and commits.

    write    tmp/<stem>, synced, then the directory        the mail is durable, invisible
    prepare  ledger commit with the final name             the intent
    publish  rename into new/, sync both directories       the delivery
    settle   ledger commit                                 the knowledge

A retry reads the truth off the file. *Prepared* and still in `tmp/`: go on with publish. *Prepared*
and not there: the rename happened, wherever a client has moved or expunged the mail since. One
mailbox that fails holds up no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager

from postamt_sync.delivery.filename import final_name, parse_name
from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.maildir import DeliveryStep, Maildir
from postamt_sync.delivery.pending_mail import Copy, PendingMail
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.ledger import Delivery, DeliveryState, Prepared, Task
from postamt_sync.ledger.work import Work

StepObserver = Callable[[DeliveryStep, bool], None]
"""Called before (False) and after (True) every durable step."""


def no_observer(step: DeliveryStep, done: bool) -> None:
    """Watch nothing."""


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

    def begin(self, mail: PendingMail, first: bytes) -> None:
        """Start a copy for every addressee with the first bytes; note those that cannot."""
        if mail.mailboxes is None:
            raise AssertionError("a mail is begun that has no mailboxes to go to")
        for name in mail.mailboxes.quick_first(mail.addressees):
            try:
                maildir = mail.mailboxes.open(name)
                maildir.open_folder(mail.folder)
                folder = mail.folder or maildir.existing_folder(mail.tags.get(name, ""))
                copy = Copy(name, maildir, folder, maildir.begin(mail.stem))
                copy.extra_headers = mail.extra_headers.get(name, b"")
                mail.copies.append(copy)
            except PostamtError as error:
                mail.failed[name] = error
        mail.addressees = []
        self.write(mail, [first])

    def write(self, mail: PendingMail, chunks: Sequence[bytes]) -> None:
        """Append chunks to every copy; those that fail are discarded and noted."""
        with self._step(DeliveryStep.WRITE):
            for copy in list(mail.copies):
                extra_headers, copy.extra_headers = copy.extra_headers, b""
                try:
                    for chunk in (extra_headers, *chunks) if extra_headers else chunks:
                        copy.draft.write(chunk)
                except PostamtError as error:
                    copy.draft.discard()
                    mail.fail(copy, error)

    def finish(self, mail: PendingMail) -> None:
        """Sync every copy's bytes; those that fail are discarded and noted."""
        with self._step(DeliveryStep.SYNC_FILE):
            for copy in list(mail.copies):
                try:
                    copy.written = copy.draft.finish(mail.received_at)
                except PostamtError as error:
                    copy.draft.discard()
                    mail.fail(copy, error)

    def publish(self, mails: Sequence[PendingMail]) -> None:
        """Bring mails to their end; each then names its delivered and failed mailboxes."""
        small = [mail for mail in mails if mail.addressees]
        for mail in small:
            self.begin(mail, mail.body)
            mail.body = b""
        list((self._threads.map if self._threads else map)(self.finish, small))
        with self._step(DeliveryStep.SYNC_TMP):
            self._sync_places(mails, tmp_only=True)
        deliveries = {id(copy): _delivery(mail, copy) for mail in mails for copy in mail.copies}
        try:
            with self._step(DeliveryStep.PREPARE):
                self._work.prepare([_prepared(mail, deliveries) for mail in mails])
        except PostamtError as error:
            # A commit that failed may still have become durable: the drafts must stay.
            for mail in mails:
                mail.fail_all(error)
            return
        with self._step(DeliveryStep.PUBLISH):
            for mail in mails:
                self._rename(mail, deliveries)
        with self._step(DeliveryStep.SYNC_FOLDERS):
            self._sync_places(mails, tmp_only=False)
        try:
            with self._step(DeliveryStep.SETTLE):
                self._work.settle(
                    [(m.task, [deliveries[id(copy)] for copy in m.copies]) for m in mails]
                )
        except PostamtError as error:
            for mail in mails:
                mail.fail_all(error)
            return
        for mail in mails:
            mail.delivered = [copy.mailbox for copy in mail.copies]

    def _rename(self, mail: PendingMail, deliveries: dict[int, Delivery]) -> None:
        for copy in list(mail.copies):
            delivery = deliveries[id(copy)]
            try:
                copy.maildir.publish(delivery.stem, delivery.folder, delivery.name)
            except PostamtError as error:
                mail.fail(copy, error)

    def resume(self, task: Task, mailboxes: Mailboxes) -> dict[str, PostamtError]:
        """Finish the copies of a mail that an earlier attempt prepared; return what still fails."""
        failed: dict[str, PostamtError] = {}
        for copy in task.deliveries:
            if copy.state is not DeliveryState.PREPARED:
                continue
            try:
                if self._republish(task, copy, mailboxes):
                    with self._step(DeliveryStep.SETTLE):
                        self._work.settle([(task, [copy])])
                    self._events.delivered_already(task.mail, copy.mailbox)
            except PostamtError as error:
                failed[copy.mailbox] = error
        return failed

    def _republish(self, task: Task, copy: Delivery, mailboxes: Mailboxes) -> bool:
        """Make up for the rename if it did not happen; False: the copy is written anew."""
        maildir = mailboxes.at(copy.maildir)
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
                folder = ""  # its owner's, who has deleted it since: never made again by us
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
            maildir.sync_published(folder)
        return True

    def _sync_places(self, mails: Sequence[PendingMail], *, tmp_only: bool) -> None:
        """Sync each directory once; where that fails, fail the copies that lie in it."""
        outcome: dict[tuple[str, str], PostamtError | None] = {}
        for mail in mails:
            for copy in list(mail.copies):
                place = (str(copy.maildir.root), "" if tmp_only else copy.folder)
                if place not in outcome:
                    outcome[place] = _sync(copy, tmp_only=tmp_only)
                if (error := outcome[place]) is not None:
                    if tmp_only:
                        copy.draft.discard()
                    mail.fail(copy, error)

    @contextmanager
    def _step(self, step: DeliveryStep) -> Iterator[None]:
        self._observer(step, False)
        yield
        self._observer(step, True)


def _proves(copy: Delivery, maildir: Maildir) -> bool:
    """Tell whether a draft that is missing was renamed: nobody else can have taken it yet."""
    age = time.time() - (copy.prepared_at or 0)
    return 0 <= age < maildir.swept_after and copy.tmp_inode == maildir.tmp_inode()


def _sync(copy: Copy, *, tmp_only: bool) -> PostamtError | None:
    try:
        if tmp_only:
            copy.maildir.sync_tmp()
        else:
            copy.maildir.sync_published(copy.folder)
    except PostamtError as error:
        return error
    return None


def _delivery(mail: PendingMail, copy: Copy) -> Delivery:
    if copy.written is None:
        raise AssertionError("a copy is published before it was synced")
    return Delivery(
        mailbox=copy.mailbox,
        stem=copy.written.stem,
        state=DeliveryState.PREPARED,
        maildir=str(copy.maildir.root),
        folder=copy.folder,
        name=final_name(copy.written.stem, copy.written.size, copy.written.vsize),
        sha256=mail.sha256,
        tmp_inode=copy.maildir.tmp_inode(),
        edition=mail.task.edition,
    )


def _prepared(mail: PendingMail, deliveries: dict[int, Delivery]) -> Prepared:
    return Prepared(
        task=mail.task,
        etag=mail.etag,
        size=mail.size,
        last_modified=mail.last_modified,
        evidence=mail.evidence,
        copies=tuple(deliveries[id(copy)] for copy in mail.copies),
        failed=tuple(
            (Delivery(mailbox, mail.stem, DeliveryState.WAITING), str(error))
            for mailbox, error in mail.failed.items()
        ),
        ask_at=mail.ask_at,
        absent=tuple(mail.absent),
    )
