"""A group of mails on its way through the protocol, and what of it waits for a late disk."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from postamt_sync.delivery.asking import Asking
from postamt_sync.delivery.disk import disk_trouble
from postamt_sync.delivery.draft_batch import DraftBatch, SmallDraft, Written, batches
from postamt_sync.delivery.draft_writer import DraftWriter
from postamt_sync.delivery.filename import part_of
from postamt_sync.delivery.filesystem_sync import FilesystemWatch
from postamt_sync.delivery.mailbox_threads import LateError
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.delivery.open_copy import WrittenCopy
from postamt_sync.delivery.pending_mail import (
    DeliveryStep,
    FetchedMail,
    PublishedMail,
    StepObserver,
    WrittenMail,
)
from postamt_sync.errors import PostamtError


@dataclass(frozen=True, slots=True)
class LateCopy:
    """A copy whose disk had not answered in `step`; None: it is not written to its end yet."""

    number: int
    step: DeliveryStep
    copy: WrittenCopy | None = None


class Group:
    """Mails that share their syncs and commits, by their number.

    Whoever goes on with a mailbox that was late does so in a thread of its own.
    """

    def __init__(
        self, mails: Sequence[FetchedMail | WrittenMail], observer: StepObserver, asking: Asking
    ) -> None:
        self.mails = mails
        self.asking = asking
        self.small = {n: mail for n, mail in enumerate(mails) if isinstance(mail, FetchedMail)}
        self.watches: dict[Path, FilesystemWatch] = {}
        """By root; there many files are written, and made durable by one sync of all of it."""
        self.drafts: dict[int, DraftWriter] = {}
        """The copies of small mails that are written and synced each by itself."""
        self.batches: list[DraftBatch] = []
        """All other copies of them."""
        self._observer = observer
        self.late: dict[str, list[LateCopy]] = {}
        """By mailbox."""
        self._lock = threading.Lock()
        self._ended: list[PublishedMail] = []

    def write(self, side_by_side: Callable[..., object]) -> list[WrittenMail]:
        """Write the small mails; those whose files are to be synced each have `side_by_side`, a
        `map`, sync them."""
        self._watch()
        self._share_out()
        copies: dict[int, list[WrittenCopy]] = {number: [] for number in self.small}
        failed = {number: dict(mail.mail.owed) for number, mail in self.small.items()}
        for batch in self.batches:
            for number, one in self._write_batch(batch, self.asking).items():
                if isinstance(one, WrittenCopy):
                    copies[number].append(one)
                else:
                    failed[number][batch.mailbox] = one
        for number, drafts in self.drafts.items():
            drafts.open(self.small[number].body)
        digests = [self.small[number].sha256 for number in self.drafts]
        done = list(side_by_side(DraftWriter.finish, self.drafts.values(), digests))  # type: ignore[call-overload]
        for number, mail in zip(self.drafts, done, strict=True):
            copies[number] += mail.copies
            failed[number] |= mail.failed
        for number, why in failed.items():
            for name, error in why.items():
                if isinstance(error, LateError):
                    self.late.setdefault(name, []).append(LateCopy(number, DeliveryStep.WRITE))
        return [
            WrittenMail(mail.mail, tuple(copies[number]), failed[number])
            if isinstance(mail, FetchedMail)
            else mail
            for number, mail in enumerate(self.mails)
        ]

    def _share_out(self) -> None:
        """Let copies be written many at once where all is synced at once."""
        many: list[SmallDraft] = []
        for number, mail in self.small.items():
            routed, alone = mail.mail, []
            for addressee in routed.addressees:
                maildir = routed.mailboxes.find(addressee.mailbox, by_us=addressee.by_us)
                if maildir.root in self.watches:
                    many.append(SmallDraft(number, mail, addressee))
                else:
                    alone.append(addressee)
            if alone:
                mine = replace(routed, addressees=tuple(alone), owed={})
                self.drafts[number] = DraftWriter(mine, self._observer, self.asking)
        self.batches = list(batches(many))

    def _write_batch(self, batch: DraftBatch, asking: Asking) -> dict[int, Written]:
        self._tell(batch, DeliveryStep.WRITE, done=False)
        try:
            written = batch.write(asking)
        except PostamtError as error:
            written = dict.fromkeys(batch.numbers, error)
        self._tell(batch, DeliveryStep.WRITE, done=True)
        self._tell(batch, DeliveryStep.SYNC_FILE, done=False)
        self._tell(batch, DeliveryStep.SYNC_FILE, done=True)
        return written

    def _tell(self, batch: DraftBatch, step: DeliveryStep, *, done: bool) -> None:
        for _ in batch.drafts:
            self._observer(step, done)

    def _watch(self) -> None:
        """Watch the file systems in which many files are to be written, from before the first."""
        maildirs = [
            mail.mail.mailboxes.find(addressee.mailbox, by_us=addressee.by_us)
            for mail in self.small.values()
            for addressee in mail.mail.addressees
        ]
        counts = Counter(maildir.root for maildir in maildirs)
        for maildir in {maildir.root: maildir for maildir in maildirs}.values():
            if counts[maildir.root] > 1 and not maildir.hands_over:
                with contextlib.suppress(PostamtError):  # what is wrong shows when it is written
                    files = counts[maildir.root]
                    watch = self.asking.ask(maildir, "watch", maildir.watch, files)
                    if watch is not None:
                        self.watches[maildir.root] = watch

    def leave(
        self, step: DeliveryStep, before: Sequence[WrittenMail], after: Sequence[WrittenMail]
    ) -> list[WrittenMail]:
        """Remember which copies were late in a step, and return what is left."""
        for number, (all_copies, left) in enumerate(zip(before, after, strict=True)):
            for copy in all_copies.copies:
                if isinstance(left.failed.get(copy.mailbox), LateError):
                    late = LateCopy(number, step, copy)
                    self.late.setdefault(copy.mailbox, []).append(late)
        return list(after)

    def shares(self, name: str) -> list[tuple[DeliveryStep, dict[int, WrittenCopy]]]:
        """Return the written copies of a mailbox that was late, by the step to go on with."""
        steps = sorted({late.step for late in self.late[name]}, key=[*DeliveryStep].index)
        return [
            (
                step,
                {
                    late.number: late.copy
                    for late in self.late[name]
                    if late.step is step and late.copy
                },
            )
            for step in reversed(steps)
            if step is not DeliveryStep.WRITE
        ]

    def write_late(self, name: str) -> dict[int, WrittenMail]:
        """Bring the copies of a mailbox that was late as far as `write` does."""
        numbers = [late.number for late in self.late[name] if late.step is DeliveryStep.WRITE]
        rest: dict[int, WrittenMail] = {}
        for batch in self.batches:
            if batch.mailbox == name and not set(batch.numbers).isdisjoint(numbers):
                for number, one in self._write_batch(batch, self.asking.patient()).items():
                    mail = self.small[number].mail
                    rest[number] = (
                        WrittenMail(mail, (one,), {})
                        if isinstance(one, WrittenCopy)
                        else WrittenMail(mail, (), {name: one})
                    )
        ends = {
            n: self.drafts[n].go_on(name, self.small[n].body, self.small[n].sha256)
            for n in numbers
            if n not in rest
        }
        return rest | {number: end() for number, end in ends.items()}

    def rest(self, copies: Mapping[int, WrittenCopy]) -> list[WrittenMail]:
        """Return the mails with these copies alone."""
        return [
            WrittenMail(mail.mail, (copies[number],) if number in copies else (), {})
            for number, mail in enumerate(self.mails)
        ]

    def end(self, ended: Sequence[PublishedMail]) -> list[PublishedMail]:
        """Take down how the mails ended whose disks were in time."""
        self._ended = list(ended)
        return self._ended[:]

    def end_share(
        self, name: str, parts: Mapping[int, tuple[PublishedMail, ...]]
    ) -> list[PublishedMail]:
        """Return how the mails of a mailbox that was late ended, or what is left of them."""
        told = []
        with self._lock:
            for number, mine in parts.items():
                one = self._ended[number]
                failed: dict[str, PostamtError] = dict(one.failed)
                for part in mine:
                    failed |= part.failed
                late = tuple(other for other in one.late if other != name)
                self._ended[number] = replace(one, failed=failed, late=late)
                delivered = tuple(copy for part in mine for copy in part.delivered)
                told.append(
                    PublishedMail(one.mail, delivered, {} if late else failed, late, is_rest=True)
                )
        return told


def synced(
    mails: Sequence[WrittenMail],
    asking: Asking,
    watches: Mapping[Path, FilesystemWatch],
    *,
    tmp_only: bool,
) -> list[WrittenMail]:
    """Sync each directory once, or the whole file system where it is watched.

    Where that fails, give up the copies that lie in it.
    """
    outcome: dict[tuple[str, str, str], PostamtError | None] = {}
    left = []
    for mail in mails:
        failed: dict[str, PostamtError] = {}
        for copy in mail.copies:
            delivery = copy.delivery
            watch = watches.get(copy.maildir.root)
            where = ("", "tmp") if tmp_only else (delivery.folder, part_of(delivery.name))
            place = (delivery.maildir, *(("", "") if watch else where))
            if place not in outcome:
                outcome[place] = _sync(copy, asking, watch, tmp_only=tmp_only)
            if (error := outcome[place]) is not None:
                if tmp_only and not isinstance(error, LateError):
                    copy.discard()
                failed[copy.mailbox] = error
        left.append(mail.without(failed))
    return left


def _sync(
    copy: WrittenCopy, asking: Asking, watch: FilesystemWatch | None, *, tmp_only: bool
) -> PostamtError | None:
    maildir, delivery = copy.maildir, copy.delivery
    try:
        if watch is not None:
            step = DeliveryStep.SYNC_TMP if tmp_only else DeliveryStep.SYNC_FOLDERS
            asking.ask(maildir, (step, "whole"), _sync_whole, maildir, watch)
        elif tmp_only:
            asking.ask(maildir, DeliveryStep.SYNC_TMP, maildir.sync_tmp)
        else:
            where = delivery.folder, part_of(delivery.name)
            key = (DeliveryStep.SYNC_FOLDERS, where)
            asking.ask(maildir, key, maildir.sync_published, *where)
    except PostamtError as error:
        return error
    return None


def _sync_whole(maildir: Maildir, watch: FilesystemWatch) -> None:
    try:
        watch.sync()
    except OSError as error:
        raise disk_trouble(error, maildir.root) from error


def renamed(mails: Sequence[WrittenMail], asking: Asking) -> list[WrittenMail]:
    """Publish every copy, a mailbox's all together; give up, for now, those that cannot be."""
    copies: dict[str, list[WrittenCopy]] = {}
    for mail in mails:
        for copy in mail.copies:
            copies.setdefault(copy.delivery.maildir, []).append(copy)
    failed: dict[tuple[str, str], PostamtError] = {}
    for root, those in copies.items():
        try:
            why = asking.ask(those[0].maildir, DeliveryStep.PUBLISH, _publish_all, those)
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
    """Publish copies of one Maildir; return those that failed. Raises PostamtError for all."""
    failed: dict[str, PostamtError] = {}
    maildir = copies[0].maildir
    with maildir.held() as at:
        for copy in copies:
            delivery = copy.delivery
            try:
                maildir.publish(delivery.stem, delivery.folder, delivery.name, at)
            except PostamtError as error:
                failed[delivery.stem] = error
    return failed
