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
from contextlib import contextmanager
from dataclasses import dataclass, field

from postamt_sync.delivery.filename import final_name
from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.maildir import Draft, Maildir, Step, Written
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.ledger import Delivery, DeliveryState, Prepared, Task
from postamt_sync.ledger.work import Work
from postamt_sync.mail.envelope import Evidence

SWEPT_AFTER = 24 * 3600.0
"""Seconds after which a missing draft proves nothing: Dovecot sweeps `tmp/` after 36 hours."""

Witness = Callable[[Step, bool], None]
"""Called before (False) and after (True) every durable step."""


def no_witness(step: Step, done: bool) -> None:
    """Watch nothing."""


@dataclass(slots=True)
class Copy:
    """One mailbox's copy of a mail on its way."""

    mailbox: str
    maildir: Maildir
    folder: str
    draft: Draft
    written: Written | None = None


@dataclass(slots=True)
class Ready:
    """A fetched and routed mail with its copies, and the mailboxes that could not take theirs.

    `stuck` are mailboxes in which an earlier copy is prepared and could not be published yet.
    """

    task: Task
    stem: str
    etag: str
    size: int
    last_modified: float
    received_at: float
    evidence: Evidence
    sha256: str = ""
    copies: list[Copy] = field(default_factory=list)
    failed: dict[str, PostamtError] = field(default_factory=dict)
    stuck: dict[str, PostamtError] = field(default_factory=dict)
    delivered: list[str] = field(default_factory=list)

    def fail(self, copy: Copy, error: PostamtError) -> None:
        """Give up one copy for now."""
        self.copies.remove(copy)
        self.failed[copy.mailbox] = error

    def fail_all(self, error: PostamtError) -> None:
        """Give up every copy that is left, for now; the drafts stay where they are."""
        for copy in list(self.copies):
            self.fail(copy, error)

    def discard(self) -> None:
        """Throw away every draft; blocking."""
        for copy in self.copies:
            copy.draft.discard()


class Group:
    """Carries out the protocol. Blocking: call from a worker thread, one group at a time."""

    def __init__(self, work: Work, events: Events, witness: Witness = no_witness) -> None:
        self._work = work
        self._events = events
        self._witness = witness

    def write(self, mail: Ready, chunks: Sequence[bytes]) -> None:
        """Append chunks to every copy; those that fail are discarded and noted."""
        with self._step(Step.WRITE):
            for copy in list(mail.copies):
                try:
                    for chunk in chunks:
                        copy.draft.write(chunk)
                except PostamtError as error:
                    copy.draft.discard()
                    mail.fail(copy, error)

    def finish(self, mail: Ready) -> None:
        """Sync every copy's bytes; those that fail are discarded and noted."""
        with self._step(Step.SYNC_FILE):
            for copy in list(mail.copies):
                try:
                    copy.written = copy.draft.finish(mail.received_at)
                except PostamtError as error:
                    copy.draft.discard()
                    mail.fail(copy, error)

    def publish(self, mails: Sequence[Ready]) -> None:
        """Bring written mails to their end; each then names its delivered and failed mailboxes."""
        with self._step(Step.SYNC_TMP):
            self._sync_places(mails, tmp_only=True)
        deliveries = {id(copy): _delivery(mail, copy) for mail in mails for copy in mail.copies}
        try:
            with self._step(Step.PREPARE):
                self._work.prepare([_prepared(mail, deliveries) for mail in mails])
        except PostamtError as error:
            # A commit that failed may still have become durable: the drafts must stay.
            for mail in mails:
                mail.fail_all(error)
            return
        with self._step(Step.PUBLISH):
            for mail in mails:
                self._rename(mail, deliveries)
        with self._step(Step.SYNC_FOLDERS):
            self._sync_places(mails, tmp_only=False)
        try:
            with self._step(Step.SETTLE):
                self._work.settle(
                    [(m.task, [deliveries[id(copy)] for copy in m.copies]) for m in mails]
                )
        except PostamtError as error:
            for mail in mails:
                mail.fail_all(error)
            return
        for mail in mails:
            mail.delivered = [copy.mailbox for copy in mail.copies]

    def _rename(self, mail: Ready, deliveries: dict[int, Delivery]) -> None:
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
                if self._republish(task, copy, mailboxes.at(copy.maildir)):
                    with self._step(Step.SETTLE):
                        self._work.settle([(task, [copy])])
                    self._events.delivered_already(task.mail, copy.mailbox)
            except PostamtError as error:
                failed[copy.mailbox] = error
        return failed

    def _republish(self, task: Task, copy: Delivery, maildir: Maildir) -> bool:
        maildir.check()
        if maildir.has_draft(copy.stem):
            maildir.open_folder(copy.folder)
            with self._step(Step.PUBLISH):
                maildir.publish(copy.stem, copy.folder, copy.name)
        elif not 0 <= time.time() - (copy.prepared_at or 0) < SWEPT_AFTER:
            found = maildir.holds(copy.stem)
            self._events.prepared_too_long(task.mail, copy.mailbox, found)
            if not found:
                self._work.start_anew(task, copy)
                return False
        with self._step(Step.SYNC_FOLDERS):
            maildir.sync_published(copy.folder)
        return True

    def _sync_places(self, mails: Sequence[Ready], *, tmp_only: bool) -> None:
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
    def _step(self, step: Step) -> Iterator[None]:
        self._witness(step, False)
        yield
        self._witness(step, True)


def _sync(copy: Copy, *, tmp_only: bool) -> PostamtError | None:
    try:
        if tmp_only:
            copy.maildir.sync_tmp()
        else:
            copy.maildir.sync_published(copy.folder)
    except PostamtError as error:
        return error
    return None


def _delivery(mail: Ready, copy: Copy) -> Delivery:
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
    )


def _prepared(mail: Ready, deliveries: dict[int, Delivery]) -> Prepared:
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
    )
