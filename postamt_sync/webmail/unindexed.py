"""Mail that the index does not know, found by listing `recent/` and described by what SES wrote.

The index may be behind, or its function may have failed. Nobody's mail may be missing because of
that: the bucket has a copy of each mail of the last two weeks, and SES's own fields on top of it
name one true recipient.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from postamt_sync.index.entry import IndexEntry, Stored, with_header
from postamt_sync.index.list_facts import facts_of_head
from postamt_sync.index.summary import summary_of_head
from postamt_sync.mail.arrival import is_no_mail
from postamt_sync.mail.headers import ses_headers
from postamt_sync.webmail.index_table import EntryTable
from postamt_sync.webmail.mail_store import MailGoneError, MailStore, StoredObject
from postamt_sync.webmail.placing import SES_LINES

LOOK_EVERY = 60.0
"""Seconds between two listings."""
MOST = 200
"""How many mails are read for one listing, the newest first; the next listing continues."""
REMEMBERED = 10_000
"""How many entries are kept."""


@dataclass(frozen=True, slots=True)
class MailPlaces:
    """The prefixes in the bucket. `recent` is "" if mail is not stored twice."""

    prefix: str = "incoming/"
    recent: str = "recent/"


class Unindexed:
    """Finds such mail, for all sessions of this process together."""

    def __init__(
        self, store: MailStore, index: EntryTable, places: MailPlaces, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._index = index
        self._places = places
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at: float | None = None
        self._version = ""
        self._found: tuple[IndexEntry, ...] = ()
        self._read: OrderedDict[tuple[str, str], IndexEntry] = OrderedDict()

    def entries(self, listed: str = "") -> tuple[IndexEntry, ...]:
        """Return entries for such mail, newest first, as of a minute ago at most.

        `listed` is the version of the routes by which mail is listed. Then mail that the index has
        and the lists do not is included.
        """
        with self._lock:
            now = self._clock()
            looked = self._looked_at is not None and 0 <= now - self._looked_at < LOOK_EVERY
            if not looked or listed != self._version:
                self._looked_at, self._version = now, listed
                # If listing fails, what the index has is shown nevertheless.
                with contextlib.suppress(ClientError, BotoCoreError):
                    self._found = self._look(listed) if self._places.recent else ()
            return self._found

    def entry(self, message_id: str) -> IndexEntry | None:
        """Return an entry for one mail, made from its object; None if there is none."""
        try:
            return self._entry(message_id, "", None)
        except MailGoneError:
            return None

    def _look(self, version: str) -> tuple[IndexEntry, ...]:
        prefix = self._places.recent
        listed = [
            each
            for each in self._store.listed(prefix)
            if each.key != prefix and not is_no_mail(each.key, each.size)
        ]
        listed.sort(key=lambda each: each.last_modified, reverse=True)
        names = [each.key.removeprefix(prefix) for each in listed]
        known = self._known(names, version)
        unknown = [e for e, name in zip(listed, names, strict=True) if name not in known]
        # Mail that the lists lack, but the index has.
        indexed = (
            self._index.known([e.key.removeprefix(prefix) for e in unknown]) if version else ()
        )
        found = self._opened(unknown, indexed)
        return tuple(sorted(found, key=lambda each: each.received_at, reverse=True))

    def _known(self, names: Sequence[str], version: str) -> set[str]:
        return self._index.known(names, version) if version else self._index.known(names)

    def _opened(
        self, objects: Sequence[StoredObject], indexed: Collection[str]
    ) -> Iterator[IndexEntry]:
        left = MOST
        for each in objects:
            name = each.key.removeprefix(self._places.recent)
            if name not in indexed and (name, each.etag) in self._read:
                yield self._read[name, each.etag]
                continue
            if not left:
                continue
            left -= 1
            if name in indexed and (entry := self._index.entry(name)):
                yield entry
                continue
            try:
                yield self._entry(name, each.etag, each.size)
            except MailGoneError:
                continue

    def still(self, entries: Sequence[IndexEntry], listed: str = "") -> list[IndexEntry]:
        """Return the entries that are still unknown to the index, or to the lists."""
        if not entries:
            return []
        known = self._known([entry.message_id for entry in entries], listed)
        return [entry for entry in entries if entry.message_id not in known]

    def _entry(self, name: str, etag: str, size: int | None) -> IndexEntry:
        if etag and (name, etag) in self._read:
            return self._read[name, etag]
        key = f"{self._places.prefix}{name}"
        head = self._store.head(key, SES_LINES)
        bare = IndexEntry(name, key, stored=Stored(None, size))
        facts = facts_of_head(head)
        entry = with_header(bare, summary_of_head(head), ses_headers(head, key), facts)
        if etag:
            self._read[name, etag] = entry
            while len(self._read) > REMEMBERED:
                self._read.popitem(last=False)
        return entry
