"""What a webmail keeps and calls, in memory: table, index, lists, bucket, and who sends."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence

from botocore.exceptions import ClientError

from postamt_sync.index.entry import (
    IndexEntry,
)
from postamt_sync.index.lists import IDS, id_prefix, lines_of, list_name
from postamt_sync.mail.handed_routes import HandedRoutes
from postamt_sync.webmail.day_place import Upload
from postamt_sync.webmail.index_table import EntriesPage
from postamt_sync.webmail.line_table import LAST, LinesPage
from postamt_sync.webmail.mail_store import MailGoneError, StoredObject
from postamt_sync.webmail.record_table import Fields, FieldsPage


class MemoryTable:
    """A RecordTable that counts its writes."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], dict[str, str | int]] = {}
        self.writes = 0

    def get(self, holder: str, name: str) -> Fields | None:
        if not 1 <= len(name.encode()) <= 1_024:
            raise ClientError({"Error": {"Code": "ValidationException"}}, "GetItem")
        found = self.kept.get((holder, name))
        return dict(found) if found is not None else None

    def put(
        self, holder: str, name: str, fields: Fields, *, expect: Fields | bool | None = True
    ) -> bool:
        if not fields.keys().isdisjoint({"holder", "name"}):
            raise ValueError("a field has the name of a key")
        there = self.kept.get((holder, name))
        if expect is None and there is not None:
            return False
        if isinstance(expect, Mapping) and not _has(there, expect):
            return False
        self.kept[holder, name] = dict(fields)
        self.writes += 1
        return True

    def update(self, holder: str, name: str, fields: Fields, *, expect: Fields) -> bool:
        there = self.kept.get((holder, name))
        if there is None or not _has(there, expect):
            return False
        there.update(fields)
        self.writes += 1
        return True

    def delete(self, holder: str, name: str) -> None:
        self.kept.pop((holder, name), None)
        self.writes += 1

    def names(
        self,
        holder: str,
        *,
        most: int,
        after: str = "",
        newest_first: bool = False,
        between: tuple[str, str] | None = None,
    ) -> FieldsPage:
        first, last = between or ("", "\U0010ffff")
        names = sorted(n for h, n in self.kept if h == holder and first <= n <= last)
        if newest_first:
            names.reverse()
        if after:
            names = [n for n in names if (n < after if newest_first else n > after)]
        found = tuple((n, dict(self.kept[holder, n])) for n in names[:most])
        return FieldsPage(found, names[most - 1] if len(names) > most else "")


def _has(there: Mapping[str, str | int] | None, expect: Fields) -> bool:
    return there is not None and all(there.get(key) == value for key, value in expect.items())


class MemoryIndex:
    """An EntryTable that counts what it is asked."""

    def __init__(self) -> None:
        self.entries: dict[str, IndexEntry] = {}
        self.lines: MemoryLines | None = None
        self.unlisted: set[str] = set()
        """Mails that the lists do not have, though the index knows them."""
        self.asked = 0
        self._sorted: dict[str, list[tuple[str, str]]] | None = None

    def put(self, entry: IndexEntry) -> None:
        self.entries[entry.message_id] = entry
        self._sorted = None
        if self.lines is not None and entry.message_id not in self.unlisted:
            self.lines.put(entry)

    def month(self, month: str, most: int, after: tuple[str, str] | None = None) -> EntriesPage:
        self.asked += 1
        if self._sorted is None:
            self._sorted = {}
            for e in self.entries.values():
                assert e.acceptance is not None
                moment = e.acceptance.received_at
                self._sorted.setdefault(moment[:7], []).append((moment, e.message_id))
            for each in self._sorted.values():
                each.sort()
        places = self._sorted.get(month, [])
        end = len(places) if after is None else bisect.bisect_left(places, after)
        some = places[max(0, end - most) : end]
        entries = tuple(self.entries[name] for _, name in reversed(some))
        return EntriesPage(entries, ended=end - most <= 0)

    def known(self, message_ids: Sequence[str], listed: str = "") -> set[str]:
        known = self.entries.keys() - (self.unlisted if listed else set())
        return {name for name in message_ids if name in known}

    def entry(self, message_id: str) -> IndexEntry | None:
        self.asked += 1
        return self.entries.get(message_id)


class MemoryLines:
    """A LineTable of what is put into an index; `version` is "" while not all mail is in it."""

    def __init__(self, index: MemoryIndex, routes: HandedRoutes) -> None:
        self.version = "v1"
        self.asked = 0
        self.looked_at = 0
        self._index = index
        self.routes = routes
        self.kept: dict[str, dict[str, str]] = {}
        self._of: dict[str, list[tuple[str, str]]] = {}
        self._sorted: dict[str, list[str]] = {}

    def put(self, entry: IndexEntry) -> None:
        for name, line in self._of.pop(entry.message_id, []):
            del self.kept[name][line]
        item = {"message_id": {"S": entry.message_id}}
        for joined in lines_of(entry, item, self.routes):
            name, _, line = joined.partition("\n")
            self.kept.setdefault(name, {})[line] = entry.message_id
            self._of.setdefault(entry.message_id, []).append((name, line))
        self._sorted.clear()

    def version_for(self, routes: HandedRoutes) -> str:
        return self.version if routes == self.routes else ""

    def page(self, name: str, most: int, *, before: str = LAST, since: str = "") -> LinesPage:
        self.asked += 1
        if name not in self._sorted:
            self._sorted[name] = sorted(self.kept.get(name, {}))
        lines = self._sorted[name]
        end, first = (bisect.bisect_left(lines, bound) for bound in (before, since))
        some = lines[max(first, end - most) : end][::-1]
        self.looked_at += len(some)
        entries = self._index.entries
        found = tuple((line, entries[self.kept[name][line]]) for line in some)
        return LinesPage(found, some[-1] if some and end - most > first else "")

    def linked(self, mailbox: str, own_ids: Sequence[str]) -> set[str]:
        prefixes = tuple(map(id_prefix, own_ids))
        kept = self.kept.get(list_name(mailbox, IDS), {})
        return {found for line, found in kept.items() if line.startswith(prefixes)}


class MemoryStore:
    """A MailStore that notes which objects were read."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.read_keys: list[str] = []
        self.listings = 0

    def head(self, key: str, most: int) -> bytes:
        return self.read(key)[:most]

    def read(self, key: str) -> bytes:
        self.read_keys.append(key)
        if key not in self.objects:
            raise MailGoneError
        return self.objects[key]

    def listed(self, prefix: str) -> list[StoredObject]:
        self.listings += 1
        return [
            StoredObject(key, "etag", len(raw), float(number))
            for number, (key, raw) in enumerate(self.objects.items())
            if key.startswith(prefix)
        ]

    def presigned(self, key: str, filename: str) -> str:
        return f"https://bucket.example/{key}?{filename}"


class MemoryKept:
    """A SentStore that writes beside the mail; `fails` is raised by the next write."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.fails: list[Exception] = []

    def put(self, key: str, raw: bytes) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self._store.objects[key] = raw

    def put_once(self, key: str, raw: bytes) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self._store.objects.setdefault(key, raw)


class MemoryMailer:
    """A Mailer that notes what it sent; `fails` is raised instead by the next call."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, tuple[str, ...], bytes]] = []
        self.asked = 0
        self.fails: list[BaseException] = []

    def send(self, sender: str, recipients: Sequence[str], raw: bytes) -> str:
        self.asked += 1
        if self.fails:
            raise self.fails.pop(0)
        self.sent.append((sender, tuple(recipients), raw))
        return f"<ses-{self.asked}@eu-west-1.amazonses.com>"


class MemoryDay:
    """A DayPlace."""

    origin = "https://day.example"

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def keep(self, content: bytes, name: str, shown_as: str = "") -> str:
        address = f"{self.origin}/{len(self.kept)}?{name or shown_as}"
        self.kept[address] = content
        return address

    def upload(self, mailbox: str, size: int) -> Upload:
        name = f"{len(self.kept):032}"
        self.kept[f"{mailbox}/{name}"] = b""
        return Upload(self.origin, {"key": f"{mailbox}/{name}", "most": str(size)}, name)

    def uploaded(self, mailbox: str, name: str, most: int) -> bytes | None:
        found = self.kept.get(f"{mailbox}/{name}")
        return None if found is None else found[: most + 1]
