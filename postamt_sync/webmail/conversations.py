"""Conversations: mails of a mailbox that share ids in Message-ID, In-Reply-To and References.

All of these are written by the sender. Forging them puts a mail beside others of the same mailbox,
and does nothing else: each mail is checked as always, and the number of ids followed is limited.
The subject does not count.
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
"""The most mails in a conversation."""
MOST_IDS = 100
"""The most ids that are followed."""
MOST_LOOKUPS = 300
"""The most queries and reads for one answer, which take a few seconds. It has what was found."""
MOST_LINKS = 6
"""The most ids per mail that the page gets."""
LAST_PAGES = 4
"""How many pages of each list are searched if there is no list of ids."""


def links(entry: IndexEntry) -> list[str]:
    """Return hashes of ids, by which the page recognizes conversations.

    They are of the mail itself, of the first mail, and of those that it answers.
    """
    ids = _ids(entry)
    few = (*ids[:2], *ids[2:][-MOST_LINKS + 2 :])
    return [hashlib.sha256(each.encode("utf-8", "replace")).hexdigest()[:16] for each in few]


class Conversations:
    """Finds the mails that belong to the same conversation as one."""

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
        """Return all mails of a conversation that the session may see, oldest first."""
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
        """Yield the mails that an id leads to, except those that were found before.

        `lookups` has one item for each lookup that may still be made.
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
