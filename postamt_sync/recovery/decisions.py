"""The end of a rebuild: is each mail delivered, due or absent for each of its mailboxes?

A copy that was found by its name is delivered, in that mailbox and no other. If none was found, it
depends on the newest mail of its own that the mailbox has. A mail that is at least as new is due,
as it may never have come. One that is older has most likely been deleted by its owner, and is
absent for this mailbox. A mailbox without any file of ours may never have got a mail, so everything
is due there: better twice than lost.

Only the envelope says which mailboxes a mail concerns. What can be decided by receipts and by the
copies at home is decided here; the rest is left to the courier, which follows the same rule.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

from postamt_sync.bucket import Bucket
from postamt_sync.delivery.disk import Disk, open_mail
from postamt_sync.delivery.mailbox_threads import HangingDiskError
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.delivery.maildir_scan import paths_of
from postamt_sync.errors import PostamtError
from postamt_sync.ledger import Delivery, DeliveryState, Ledger, ObjectState, Task
from postamt_sync.ledger.rebuild import NamedCopy, Rebuild, Settled
from postamt_sync.ledger.rows import is_older
from postamt_sync.mail.arrival import etag_hash
from postamt_sync.mail.header_block import LONGEST_HEAD, header_block
from postamt_sync.mail.headers import addresses, ses_headers
from postamt_sync.mail.routing import Routes, decide
from postamt_sync.mail.sent_mail import is_sent, read_sent_key
from postamt_sync.recovery.stored_bytes import lead_of

BATCH = 1000
AT_ONCE = 16
"""How many objects are read at a time."""
CANDIDATES = 200
"""How many of a mailbox's newest names are looked at in one go."""
MOST_CANDIDATES = 2000
"""How many of a mailbox's names are looked at in search of a mail that was for it."""

_FindAt = Callable[[Path], Maildir]


class RecoveryDecisions:
    """Decides what is held, as far as that is possible at home. Blocking; safe to repeat."""

    def __init__(
        self,
        ledger: Ledger,
        routes: Routes,
        *,
        prefix: str,
        has_index: bool = False,
        find_at: _FindAt = lambda root: Maildir(root, Disk()),
    ) -> None:
        """`prefix` is where the bucket has incoming mail; sent mail is elsewhere.

        `find_at` returns the Maildir for a root. One that hangs counts as unreadable.
        """
        self._prefix = prefix
        self._find_at = find_at
        self._rebuild: Rebuild = ledger.rebuild
        self._routes = routes
        self._has_index = has_index
        self._horizons: Mapping[str, float] = {}
        self._limited = False

    def decide(self) -> None:
        """Close what nobody is still to get; the rest stays held.

        Raises PostamtError if the ledger refuses. If a Maildir cannot be read, more stays held.
        """
        self._limited = self._rebuild.from_names_alone
        if self._limited:
            self._horizons = self._find_horizons()
            self._rebuild.set_horizons(self._horizons)
        to_read: list[Task] = []
        after = ""
        while page := self._rebuild.held(after, BATCH):
            after = page[-1].mail
            self._settle([s for task in page if (s := self._settled(task, to_read))])
        self._read(to_read)

    async def decide_by_reading(self, bucket: Bucket, ledger: Ledger) -> None:
        """Find out from the bucket, after the rebuild has ended, whose mail the rest is.

        The courier does that anyway; this is for commands that do not deliver. An object that
        cannot be read now is left as it is.
        """
        after = ""
        while page := await asyncio.to_thread(self._rebuild.undecided, after, AT_ONCE):
            after = page[-1].mail
            came = [task for task in page if not is_sent(task.key, self._prefix)]
            await asyncio.gather(*(self._read_object(bucket, ledger, task) for task in came))

    async def _read_object(self, bucket: Bucket, ledger: Ledger, task: Task) -> None:
        head = b""
        with contextlib.suppress(PostamtError):
            async with (
                bucket.fetch(task.key, etag=task.etag) as fetched,
                aclosing(fetched.chunks()) as chunks,
            ):
                async for chunk in chunks:
                    head += chunk if len(head) < LONGEST_HEAD else b""
                    # An encrypted mail is only authenticated by its end.
                    enough = len(head) >= LONGEST_HEAD or header_block(head) is not None
                    if enough and not fetched.client_encrypted:
                        break
                stored_at = fetched.last_modified
                named = self._named_in(head, task.key)
            if named and all(task.is_absent_for(name, stored_at) for name in named):
                known = (task, fetched.etag, fetched.size, stored_at, named)
                await asyncio.to_thread(ledger.work.settle_known, *known)

    def _settled(self, task: Task, to_read: list[Task]) -> Settled | None:
        """Decide by what the ledger knows. If a copy at home may say more, add it to `to_read`."""
        found = _found(task)
        if found and not _is_of_this_content(task):
            return None  # its bytes have to be compared
        if is_sent(task.key, self._prefix):
            sent = read_sent_key(task.key)
            has_it = sent is not None and sent.mailbox in found
            return Settled(task, ObjectState.DELIVERED) if has_it else None
        if task.recipients:
            return self._settled_by(task, self._routes.mailboxes(task.recipients))
        lacking = [name for name in self._routes.names if name not in found]
        if found and lacking:
            # Only the copy says which other mailboxes it names, and so which of them lack it.
            to_read.append(task)
            return None
        if any(self._is_due(task, name) for name in lacking):
            return None
        return Settled(task, ObjectState.DELIVERED if found else ObjectState.ABSENT)

    def _settled_by(self, task: Task, named: Sequence[str]) -> Settled | None:
        found = _found(task)
        owed = (name for name in task.owed if name in self._routes.names)
        lacking = tuple(n for n in dict.fromkeys((*named, *owed)) if n not in found)
        if any(self._is_due(task, name) for name in lacking):
            return None
        return Settled(task, ObjectState.DELIVERED if found else ObjectState.ABSENT, lacking)

    def _is_due(self, task: Task, mailbox: str) -> bool:
        """Tell whether a mailbox that has no copy is to get one."""
        waits = any(c.mailbox == mailbox and c.state in _WAITING for c in task.deliveries)
        if waits or mailbox in task.owed or not self._limited:
            return True
        return not is_older(task.last_modified, self._horizons.get(mailbox))

    def _read(self, tasks: Sequence[Task]) -> None:
        """Decide by what SES and the sender wrote into the copies at home."""
        settled: list[Settled] = []
        for task, head in _heads(tasks, self._find_at):
            named = self._named_in(head, task.key)
            if (one := self._settled_by(task, named)) is not None:
                settled.append(one)
            if len(settled) == BATCH:
                self._settle(settled)
                settled.clear()
        self._settle(settled)

    def _settle(self, settled: Sequence[Settled]) -> None:
        if settled:
            self._rebuild.settle(settled, ask=self._has_index)

    def _find_horizons(self) -> dict[str, float]:
        found = {name: self._horizon(name) for name in self._routes.names}
        return {name: newest for name, newest in found.items() if newest is not None}

    def _horizon(self, mailbox: str) -> float | None:
        """Return the time of the newest mail in a mailbox that was addressed to it.

        A file that somebody else gave its owner may have a name of ours too, and a file without an
        object may come from another bucket. Neither says how far this mailbox's own mail has come.
        """
        for offset in range(0, MOST_CANDIDATES, CANDIDATES):
            copies = self._rebuild.newest_copies(mailbox, CANDIDATES, offset)
            read = _Heads(copies, self._find_at)
            for copy in copies:
                if self._came_for(mailbox, copy, read):
                    return min(copy.named_at, copy.stored_at)
            if len(copies) < CANDIDATES:
                break
        return None

    def _came_for(
        self, mailbox: str, copy: NamedCopy, read: Callable[[NamedCopy], bytes | None]
    ) -> bool:
        """Tell whether a mailbox's copy was addressed to it, by a receipt or by SES's own Received.

        A receipt may name other mailboxes only, so both count. Sent mail does not.
        """
        if is_sent(copy.task.key, self._prefix):
            return False
        recipients = copy.task.recipients
        if recipients and mailbox in self._routes.mailboxes(recipients):
            return True
        head = read(copy)
        if head is None:
            return False
        if not recipients:
            return mailbox in self._named_in(head, copy.task.key)
        ses = ses_headers(head, copy.task.key)
        received = ses.recipient if ses else None
        return received is not None and mailbox in self._routes.mailboxes([received])

    def _named_in(self, head: bytes, key: str) -> Sequence[str]:
        """Return the mailboxes that a mail without receipts names."""
        ses = ses_headers(head, key)
        decision = decide(
            self._routes,
            receipt=(),
            received=ses.recipient if ses else None,
            header_addresses=addresses(head),
            grace_over=True,
        )
        return decision.mailboxes if decision is not None else ()


_WAITING = {DeliveryState.WAITING, DeliveryState.PREPARED}


class _Heads:
    """Reads the beginning of copies; scans a Maildir when the first of its files is wanted."""

    def __init__(self, copies: Sequence[NamedCopy], find_at: _FindAt) -> None:
        self._stems = {copy.stem for copy in copies}
        self._find_at = find_at
        self._found: dict[str, dict[str, Path]] = {}

    def __call__(self, copy: NamedCopy) -> bytes | None:
        maildir = self._find_at(Path(copy.maildir))
        if copy.maildir not in self._found:
            self._found[copy.maildir] = dict(_paths(maildir, self._stems))
        path = self._found[copy.maildir].get(copy.stem)
        return None if path is None else _head(maildir, path, copy.task.size)


def _found(task: Task) -> set[str]:
    return {c.mailbox for c in task.deliveries if c.state is DeliveryState.DELIVERED}


def _is_of_this_content(task: Task) -> bool:
    """Tell whether each mailbox with a copy has one of the object's current content, by its ETag.

    It may also have one of an earlier content.
    """
    return _found(task) == {c.mailbox for c in _copies_of_now(task)}


def _copies_of_now(task: Task) -> list[Delivery]:
    copies = [c for c in task.deliveries if c.state is DeliveryState.DELIVERED]
    return [c for c in copies if task.etag is None or f"E{etag_hash(task.etag)}" in c.stem]


def _heads(tasks: Sequence[Task], find_at: _FindAt) -> Iterator[tuple[Task, bytes]]:
    """Yield the beginning of one copy of each mail, as far as they can be read."""
    wanted: dict[str, dict[str, Task]] = {}
    for task in tasks:
        copy = _copies_of_now(task)[0]
        wanted.setdefault(copy.maildir, {})[copy.stem] = task
    for root, stems in wanted.items():
        maildir = find_at(Path(root))
        for stem, path in _paths(maildir, stems.copy()):
            if stem in stems:
                task = stems.pop(stem)
                if (head := _head(maildir, path, task.size)) is not None:
                    yield task, head


def _paths(maildir: Maildir, stems: Container[str]) -> Iterator[tuple[str, Path]]:
    with contextlib.suppress(OSError, HangingDiskError):
        yield from itertools.chain.from_iterable(maildir.batches(paths_of(maildir.root, stems)))


def _head(maildir: Maildir, path: Path, size: int | None) -> bytes | None:
    """Return the beginning of a mail as in S3; None if the file is not what was delivered."""
    with contextlib.suppress(OSError, HangingDiskError):
        return maildir.call(_begins, path, size)
    return None


def _begins(path: Path, size: int | None) -> bytes | None:
    with open_mail(path) as stream:
        lead = None if size is None else lead_of(stream, os.fstat(stream.fileno()).st_size, size)
        if lead is None:
            return None
        stream.seek(lead)
        head = b""
        while len(head) < LONGEST_HEAD and (chunk := stream.read(1 << 14)):
            head += chunk
            if header_block(head) is not None:
                break
        return head
