"""Which mails of a mailbox belong together: those that name the same ids, by Message-ID,
In-Reply-To and References.

All of these are the sender's words. Whoever forges them can put his mail beside others of the same
mailbox, and nothing else: each mail is checked as always, and what is followed has a bound. The
subject says nothing of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator

from postamt_sync.index.entry import IndexEntry
from postamt_sync.index.lists import NOBODY
from postamt_sync.webmail.index_table import EntryTable
from postamt_sync.webmail.line_table import LineTable
from postamt_sync.webmail.mail_list import MailList
from postamt_sync.webmail.mail_search import Search
from postamt_sync.webmail.placing import Placing
from postamt_sync.webmail.sent_list import SentList
from postamt_sync.webmail.sessions import WebSession

MOST = 200
"""Mails of one conversation."""
MOST_IDS = 100
"""Ids that are followed."""
MOST_LOOKUPS = 300
"""Queries and reads of one answer: some seconds at most. What is found by then is told."""
MOST_LINKS = 6
"""Ids that the page is told of a mail."""
LAST_PAGES = 4
"""Pages of each list that are looked through where no list of ids is kept."""


def links(entry: IndexEntry) -> list[str]:
    """Return what the page knows conversations by, without the ids themselves: of the mail itself,
    of the one that began it all, and of those that it answers."""
    ids = _ids(entry)
    few = (*ids[:2], *ids[2:][-MOST_LINKS + 2 :])
    return [hashlib.sha256(each.encode("utf-8", "replace")).hexdigest()[:16] for each in few]


class Conversations:
    """Finds the mails that belong to one."""

    def __init__(
        self,
        index: EntryTable,
        lines: LineTable | None,
        placing: Placing,
        mails: MailList,
        sent: SentList,
    ) -> None:
        self._index = index
        self._lines = lines
        self._placing = placing
        self._mails = mails
        self._sent = sent

    def of(self, session: WebSession, entry: IndexEntry) -> list[IndexEntry]:
        """Return all mails of a conversation that the session sees, this one too; oldest first."""
        found = {entry.message_id: entry}
        if not _ids(entry):
            return [entry]
        lines = self._lines
        if lines is not None and lines.version_for(self._placing.routes):
            others = self._sent.recent(session.mailbox)
        else:
            lines, others = None, [*self._recent(session), *self._sent.recent(session.mailbox)]
        followed: set[str] = set()
        todo = _ids(entry)
        lookups = iter(range(MOST_LOOKUPS))
        while todo and len(followed) < MOST_IDS and len(found) < MOST:
            own_id = todo.pop(0)
            if own_id in followed:
                continue
            followed.add(own_id)
            linked = self._linked(session, lines, own_id, found, lookups) if lines else iter(())
            for each in (*linked, *(other for other in others if own_id in _ids(other))):
                if each.message_id not in found and len(found) < MOST:
                    found[each.message_id] = each
                    todo += _ids(each)
        return sorted(found.values(), key=_moment)

    def _linked(
        self,
        session: WebSession,
        lines: LineTable,
        own_id: str,
        found: Collection[str],
        lookups: Iterator[int],
    ) -> Iterator[IndexEntry]:
        """Yield the mails that an id leads to, except those that were found already.

        Each item of `lookups` is one that may still be made.
        """
        mailboxes = (session.mailbox, *((NOBODY,) if session.sees_all else ()))
        for mailbox, _ in zip(mailboxes, lookups, strict=False):
            names = sorted(lines.linked(mailbox, [own_id]) - set(found))
            for message_id, _ in zip(names, lookups, strict=False):
                entry = self._index.entry(message_id)
                if entry is not None and self._placing.sees(session, entry):
                    yield entry

    def _recent(self, session: WebSession) -> Iterator[IndexEntry]:
        """Yield the last mails of Inbox and Junk."""
        for junk in (False, True):
            cursor = ""
            for _ in range(LAST_PAGES):
                page = self._mails.page(session, junk=junk, search=Search(), cursor=cursor)
                yield from page.entries
                if not (cursor := page.cursor):
                    break


def _ids(entry: IndexEntry) -> list[str]:
    if entry.listed is None:
        return []
    facts = entry.listed.facts
    return list(dict.fromkeys(each for each in (facts.own_id, *facts.references) if each))


def _moment(entry: IndexEntry) -> tuple[str, str]:
    return entry.received_at, entry.message_id
