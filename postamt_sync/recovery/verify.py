"""Comparing bucket, index, ledger and Maildirs, page by page of the listing.

The file names are read first, and the ledger after each page. Mail that is delivered, moved or
announced meanwhile must not look like a difference: a copy that seems to be missing is looked for
once more at the end, and new mail gets the time that it needs.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from postamt_sync.bucket import Bucket, Listed, SealedPlace, mail_pages, one_mail
from postamt_sync.config import Settings
from postamt_sync.delivery.destinations import configured_destinations
from postamt_sync.index.client import Index
from postamt_sync.ledger import Ledger, ObjectState
from postamt_sync.ledger.inventory import KnownCopy, KnownObject
from postamt_sync.mail.arrival import Envelope, etag_hash, is_no_mail, mail_id
from postamt_sync.mail.client_encryption import TAG_BYTES
from postamt_sync.mail.sent_mail import is_sent
from postamt_sync.quantities import count
from postamt_sync.recovery.difference import Compared, Difference, DifferenceKind
from postamt_sync.recovery.maildir_files import MaildirFile, MaildirFiles, stems
from postamt_sync.recovery.stored_bytes import content_damage

UNDER_WAY = 900.0
"""Seconds that a mail may be under way before that is a difference."""

_MD5 = re.compile(r"[0-9a-fA-F]{32}", re.ASCII)

_AT_HOME_NOT = {
    ObjectState.ARCHIVED: DifferenceKind.ARCHIVED,
    ObjectState.ABSENT: DifferenceKind.ABSENT,
    ObjectState.SEALED: DifferenceKind.SEALED,
    ObjectState.QUARANTINED: DifferenceKind.QUARANTINED,
}

_SETTLED = {ObjectState.DELIVERED, ObjectState.ABSENT}


class Comparison:
    """One comparison, possible while the daemon runs. It changes nothing."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        bucket: Bucket,
        index: Index | None = None,
        *,
        content: bool = False,
        watch: Callable[[Compared], None] = lambda _: None,
    ) -> None:
        """With `content` every file is read, and its SHA-256 is compared with the ledger's."""
        self.counted = Compared()
        self._prefix = settings.bucket.prefix
        self._prefixes = settings.mail_prefixes
        self._sealed = SealedPlace(*settings.sealed_place)
        # Mail that Dovecot got by LMTP has names of Dovecot's own; sent mail has ours.
        self._by_lmtp = {m.name for m in settings.mailboxes if m.delivery == "lmtp"}
        self._roots = {
            m.name: m.maildir
            for m in settings.mailboxes
            if m.delivery == "maildir" or settings.webmail.enabled
        }
        self._routes = configured_destinations(settings, ledger.work).routes
        self._ledger = ledger
        self._bucket = bucket
        self._index = index
        self._content = content
        self._lacking = TAG_BYTES if settings.bucket.kms else 0
        """By how many bytes a mail may be shorter than its object."""
        self._watch = watch
        self._here: set[str] = set()
        """The mailboxes whose Maildirs could be read."""

    async def run(self, only: str = "") -> list[Difference]:
        """Return every difference, in key order; with `only`, just those of this key.

        Raises what reading the bucket, the index, the ledger and the Maildirs raises.
        """
        on_disk = MaildirFiles()
        try:
            found = await asyncio.to_thread(self._fill, on_disk)
            for prefix in [only] if only else self._prefixes:
                found += await self._listed(on_disk, prefix, only)
            if not only:
                found += await asyncio.to_thread(self._strays, on_disk)
            return await asyncio.to_thread(self._look_again, found)
        finally:
            on_disk.close()

    async def _listed(self, on_disk: MaildirFiles, prefix: str, only: str) -> list[Difference]:
        found: list[Difference] = []
        after = only[:-1] or prefix
        async for page in self._pages(prefix, only):
            wanted = [e for e in page if not only or e.key == only]
            if not wanted:
                continue
            envelopes = await self._envelopes(wanted)
            differ, more = await asyncio.to_thread(self._page, on_disk, after, wanted, envelopes)
            found += differ
            if only:
                return found
            found += await asyncio.to_thread(self._unlisted, on_disk, prefix, more)
            after = wanted[-1].key
        if not only:
            rest = self._ledger.inventory.between
            known = await asyncio.to_thread(rest, self._bucket.name, after, None)
            found += await asyncio.to_thread(self._unlisted, on_disk, prefix, known)
        return found

    def _pages(self, prefix: str, only: str) -> AsyncIterator[list[Listed]]:
        if only:
            return one_mail(self._bucket, self._sealed, only)
        came = prefix == self._prefix
        return mail_pages(self._bucket, self._sealed if came else SealedPlace(prefix, ""))

    def _fill(self, on_disk: MaildirFiles) -> list[Difference]:
        away = []
        for mailbox, root in self._roots.items():
            if (root / "new").is_dir():
                self.counted.files += on_disk.fill(mailbox, root)
                self._here.add(mailbox)
            elif self._ledger.work.knows_maildir(root):
                away.append(Difference(DifferenceKind.AWAY, mailbox=mailbox, path=str(root)))
        on_disk.filled()
        return away

    async def _envelopes(self, page: Sequence[Listed]) -> Mapping[str, Envelope] | None:
        if self._index is None or is_sent(page[0].key, self._prefix):
            return None
        return await self._index.envelopes([e.key for e in page])

    def _page(
        self,
        on_disk: MaildirFiles,
        after: str,
        page: Sequence[Listed],
        envelopes: Mapping[str, Envelope] | None,
    ) -> tuple[list[Difference], list[KnownObject]]:
        """Return how a page differs, and what the ledger has in its range that is not listed."""
        between = self._ledger.inventory.between(self._bucket.name, after, page[-1].key)
        known = {o.key: o for o in between}
        ids = {entry.key: mail_id(self._bucket.name, entry.key) for entry in page}
        files = on_disk.of(list(ids.values()))
        found: list[Difference] = []
        for entry in page:
            row = known.pop(entry.key, None)
            if is_no_mail(entry.key, entry.size):
                continue
            self.counted.objects += 1
            mine = files.get(ids[entry.key], [])
            if row is None:
                found += self._unknown(entry, ids[entry.key], mine)
                continue
            found += self._standing(entry, row)
            found += self._copies(entry, row, mine)
            if envelopes is not None:
                found += self._indexed(entry, row, envelopes.get(entry.key))
        self._watch(self.counted)
        return found, list(known.values())

    def _unknown(
        self, entry: Listed, mail: str, files: Sequence[MaildirFile]
    ) -> Iterator[Difference]:
        if time.time() - entry.modified_at < UNDER_WAY:
            self.counted.under_way += 1
            return
        detail = f"{count(len(files), 'copy', 'copies')} at home" if files else ""
        yield _about(DifferenceKind.UNKNOWN, entry, mail, detail)

    def _standing(self, entry: Listed, row: KnownObject) -> Iterator[Difference]:
        for mailbox in row.absent:
            yield _about(DifferenceKind.ABSENT, entry, row.mail, "", mailbox)
        if row.state is ObjectState.WAITING:
            if time.time() - row.first_seen < UNDER_WAY:
                self.counted.under_way += 1
            else:
                yield _about(DifferenceKind.WAITING, entry, row.mail, row.problem or "")
            return
        self.counted.adopted += row.state is ObjectState.ADOPTED
        if kind := _AT_HOME_NOT.get(row.state):
            # If the mailboxes are known, there is a difference for each of them already.
            if kind is not DifferenceKind.ABSENT or not row.absent:
                yield _about(kind, entry, row.mail, row.problem or "")
        elif row.state is ObjectState.GONE and entry.sealed_key:
            yield _about(DifferenceKind.SEALED, entry, row.mail, "")
        elif row.state is ObjectState.GONE:
            yield _about(DifferenceKind.UNKNOWN, entry, row.mail, "the ledger takes it for deleted")
        yield from self._unrecorded(entry, row)
        if row.etag is not None and row.etag != entry.etag:
            yield _about(DifferenceKind.CHANGED, entry, row.mail, f"{row.etag} is {entry.etag} now")

    def _unrecorded(self, entry: Listed, row: KnownObject) -> Iterator[Difference]:
        """Yield a difference for each mailbox that a receipt names and the ledger has not noted."""
        if row.state is ObjectState.ABSENT and not row.absent:
            return  # absent for all that it concerns
        if row.state in _SETTLED:
            named = self._routes.mailboxes(row.recipients)
            yield from _undelivered(entry, row, named, "its receipt says so")

    def _copies(
        self, entry: Listed, row: KnownObject, files: Sequence[MaildirFile]
    ) -> Iterator[Difference]:
        ours = self._here if is_sent(entry.key, self._prefix) else self._here - self._by_lmtp
        for copy in row.copies:
            if copy.mailbox not in ours:
                continue
            mine = [f for f in files if (f.mailbox, f.stem) == (copy.mailbox, copy.stem)]
            if not mine:
                missing = _about(DifferenceKind.MISSING, entry, row.mail, "", copy.mailbox)
                yield replace(missing, stem=copy.stem)
            for file in mine:
                if problem := self._damage(entry, copy, file):
                    yield _about(
                        DifferenceKind.DAMAGED, entry, row.mail, problem, copy.mailbox, file.path
                    )

    def _damage(self, entry: Listed, copy: KnownCopy, file: MaildirFile) -> str:
        if file.named is None:  # renamed by Dovecot, which may have changed its line ends
            return ""
        if file.size != file.named:
            return f"it has {file.size} bytes, and by its name {file.named}"
        same = file.etag_hash == etag_hash(entry.etag)
        if same and file.size < entry.size - self._lacking:
            return f"it has {file.size} bytes, and the object {entry.size}"
        if self._content and same:
            path = Path(file.path)
            if copy.sha256:
                return content_damage(path, file.size, entry.size, "sha256", copy.sha256)
            if _MD5.fullmatch(entry.etag):  # after a rebuild the ledger has no SHA-256
                return content_damage(path, file.size, entry.size, "md5", entry.etag.lower())
        return ""

    def _indexed(
        self, entry: Listed, row: KnownObject, envelope: Envelope | None
    ) -> Iterator[Difference]:
        if row.state is ObjectState.SKIPPED:
            return
        if envelope is None:
            yield _about(DifferenceKind.UNINDEXED, entry, row.mail, "")
        elif row.state is ObjectState.DELIVERED:
            compared = set(self._routes.mailboxes(row.recipients))
            named = self._routes.mailboxes(envelope.recipients)
            rest = [mailbox for mailbox in named if mailbox not in compared]
            yield from _undelivered(entry, row, rest, "the index says so")

    def _unlisted(
        self, on_disk: MaildirFiles, prefix: str, known: Sequence[KnownObject]
    ) -> list[Difference]:
        mine = [o for o in known if o.key.startswith(prefix)]
        on_disk.of([o.mail for o in mine])
        silent = {ObjectState.GONE, ObjectState.SKIPPED, ObjectState.ADOPTED}
        return [
            Difference(
                DifferenceKind.GONE,
                o.key,
                o.mail,
                detail=f"{o.state}, {count(len(o.copies), 'copy', 'copies')}",
            )
            for o in mine
            if o.state not in silent and time.time() - o.first_seen >= UNDER_WAY
        ]

    def _strays(self, on_disk: MaildirFiles) -> list[Difference]:
        found = []
        for batch in on_disk.unseen():
            known = self._ledger.inventory.known({file.mail for file in batch})
            found += [
                Difference(DifferenceKind.STRAY, "", f.mail, f.mailbox, f.path)
                for f in batch
                if f.mail not in known and f.mailbox not in self._by_lmtp
            ]
        return found

    def _look_again(self, found: list[Difference]) -> list[Difference]:
        """Drop what only seemed to be missing because it was moved while we read."""
        doubtful = {d.mailbox for d in found if d.kind is DifferenceKind.MISSING}
        here = stems((name, self._roots[name]) for name in doubtful)
        return [
            d
            for d in found
            if d.kind is not DifferenceKind.MISSING or (d.mailbox, d.stem) not in here
        ]


def _undelivered(
    entry: Listed, row: KnownObject, named: Iterable[str], why: str
) -> Iterator[Difference]:
    """Yield a difference for each mailbox of which the ledger has noted nothing."""
    noted = {*(copy.mailbox for copy in row.copies), *row.absent, *row.owed}
    for mailbox in named:
        if mailbox not in noted:
            yield _about(DifferenceKind.UNDELIVERED, entry, row.mail, why, mailbox)


def _about(
    kind: DifferenceKind, entry: Listed, mail: str, detail: str, mailbox: str = "", path: str = ""
) -> Difference:
    return Difference(
        kind,
        entry.key,
        mail,
        mailbox,
        path,
        detail,
        entry.size,
        entry.storage_class,
        entry.archived,
        entry.sealed_key,
    )
