"""A mailbox's mails, newest first by the time they were received, and searches by words and time.

A page is read from the mailbox's own list, from where the previous one ended. If not all mail has
its lines there (before the first `reindex`, or after other routes were handed over), the index is
read instead, which gives the same result by looking at everybody's mail. One request looks at a
limited number of mails and then answers with what it has found: a page may be short or empty and
yet not be the last one. Only a page without a cursor is the last one.

A cursor names a time and a mail, but no mailbox: the list is always that of the session.
"""

from __future__ import annotations

import base64
import binascii
import heapq
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from postamt_sync.index.entry import IndexEntry
from postamt_sync.index.lists import INBOX, JUNK, NOBODY, line_name, list_name
from postamt_sync.index.notice_values import iso
from postamt_sync.webmail.exchange import RefusedRequestError
from postamt_sync.webmail.index_table import EntryTable
from postamt_sync.webmail.line_table import LAST, LineTable
from postamt_sync.webmail.mail_search import Search
from postamt_sync.webmail.placing import Placing
from postamt_sync.webmail.sessions import WebSession
from postamt_sync.webmail.unindexed import Unindexed

PAGE = 50
"""How many mails a page has."""
LOOKED_AT = 2_000
"""How many mails one request looks at."""
LOOKED_FOR = 1.5
"""Seconds after which a request answers with what it has found so far."""
ASKED_AT_ONCE = 200
FIRST_MONTH = "2011-01"
"""SES began in that month."""
_MONTH = re.compile(r"20\d\d-(?:0[1-9]|1[0-2])", re.ASCII)
MOMENT = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class ListPage:
    """Entries of one mailbox. `cursor` leads to the next page, "" at the end.

    `reached` is the month that was looked at last, such as "2026-11", "" at the end.
    """

    entries: tuple[IndexEntry, ...]
    cursor: str = ""
    reached: str = ""


@dataclass(frozen=True, slots=True)
class _ListPlace:
    """A place in the list: in a month, after a mail."""

    month: str
    after: tuple[str, str] | None = None

    @property
    def moment(self) -> str:
        """The time from which on all mail was listed before."""
        return self.after[0] if self.after else f"{self.month}-32"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for, and by whom. A page has `most` mails."""

    session: WebSession
    junk: bool
    search: Search
    most: int


class MailList:
    """Lists what a session may see."""

    def __init__(
        self,
        index: EntryTable,
        unindexed: Unindexed,
        placing: Placing,
        clock: Callable[[], float],
        lines: LineTable | None = None,
    ) -> None:
        self._lines = lines
        self._index = index
        self._unindexed = unindexed
        self._placing = placing
        self._clock = clock

    def page(
        self, session: WebSession, *, junk: bool, search: Search, cursor: str = "", most: int = PAGE
    ) -> ListPage:
        """Return the next mails in the session's Inbox or Junk. Raises RefusedRequestError."""
        version = self._lines.version_for(self._placing.routes) if self._lines else ""
        newest = _read_cursor(cursor) if cursor else None
        if newest and not newest.month and not version:
            return ListPage(())  # the index does not list mail without a time
        asked = _Asked(session, junk, search, most)
        page = (self._listed if version else self._indexed)(asked, newest)
        oldest = _read_cursor(page.cursor) if page.cursor else None
        others = [
            entry
            for entry in self._unindexed.entries(version)
            if (newest is None or entry.received_at < newest.moment)
            and (oldest is None or entry.received_at >= oldest.moment)
            and search.lasts(entry.received_at)
            and self._belongs(asked, entry)
        ]
        others = self._unindexed.still(others, version)
        if not others:
            return page
        # If one was indexed meanwhile, the index counts.
        together = {entry.message_id: entry for entry in (*others, *page.entries)}
        return ListPage(
            tuple(sorted(together.values(), key=lambda each: each.received_at, reverse=True)),
            page.cursor,
            page.reached,
        )

    def _listed(self, asked: _Asked, place: _ListPlace | None) -> ListPage:
        session, search, most = asked.session, asked.search, asked.most
        before = _line_before(place) if place else LAST
        kind = JUNK if asked.junk else INBOX
        mailboxes = (session.mailbox, *((NOBODY,) if session.sees_all else ()))
        at_once = ASKED_AT_ONCE if search.words else most
        walks = [
            self._walk(list_name(mailbox, kind), at_once, min(before, search.until or LAST), search)
            for mailbox in mailboxes
        ]
        began = self._clock()
        found: list[IndexEntry] = []
        every = heapq.merge(*walks, key=lambda each: each[0], reverse=True)
        for looked, (_, entry) in enumerate(every, start=1):
            if self._belongs(asked, entry):
                found.append(entry)
            if (
                len(found) == most
                or looked >= LOOKED_AT
                or (looked % most == 0 and self._clock() - began > LOOKED_FOR)
            ):
                moment = entry.received_at
                place = _ListPlace(moment[: len("2026-11")], (moment, entry.message_id))
                return _page(found, place)
        return ListPage(tuple(found))

    def _walk(
        self, name: str, most: int, before: str, search: Search
    ) -> Iterator[tuple[str, IndexEntry]]:
        """Yield a list's lines, newest first."""
        assert self._lines is not None
        while True:
            page = self._lines.page(name, most, before=before, since=search.since)
            yield from page.found
            if not (before := page.after):
                return

    def _indexed(self, asked: _Asked, place: _ListPlace | None) -> ListPage:
        search, most = asked.search, asked.most
        place = place or _ListPlace(self._first_month(search))
        began = self._clock()
        found: list[IndexEntry] = []
        looked = 0
        while True:
            answer = self._index.month(place.month, min(ASKED_AT_ONCE, 2 * most), place.after)
            for entry in answer.entries:
                moment = entry.received_at
                looked += 1
                place = _ListPlace(place.month, (moment, entry.message_id))
                if search.since and moment < search.since:
                    return ListPage(tuple(found))
                if search.until and moment >= search.until:
                    continue
                if self._belongs(asked, entry):
                    found.append(entry)
                    if len(found) == most:
                        return _page(found, place)
            if answer.ended:
                if place.month <= max(FIRST_MONTH, search.since[:7]):
                    return ListPage(tuple(found))
                place = _ListPlace(_month_before(place.month))
                looked += 1
            if looked >= LOOKED_AT or self._clock() - began > LOOKED_FOR:
                return _page(found, place)

    def _belongs(self, asked: _Asked, entry: IndexEntry) -> bool:
        return (
            self._fits(asked.session, entry, asked.search)
            and self._placing.is_junk(entry) is asked.junk
            and self._placing.sees(asked.session, entry)
        )

    def _fits(self, session: WebSession, entry: IndexEntry, search: Search) -> bool:
        # Nobody may find out that others got it too, if they are not named in it.
        routes = self._placing.routes.routes
        return search.fits(entry, lambda: routes.addressed(entry.recipients, session.mailbox))

    def find(self, session: WebSession, message_id: str) -> IndexEntry:
        """Return one of the session's mails. Raises RefusedRequestError if there is none.

        The answer for another mailbox's mail is the same as for one that does not exist.
        """
        entry = self._index.entry(message_id) or self._unindexed.entry(message_id)
        if entry is None or not self._placing.sees(session, entry):
            raise RefusedRequestError(HTTPStatus.NOT_FOUND, "There is no such mail here.")
        return entry

    def _first_month(self, search: Search) -> str:
        if search.until:
            return search.until[:7]
        # A day ahead: our clock and SES's may differ at the end of a month.
        return iso(self._clock() + 86_400)[: len("2026-11")]


def mail_address(message_id: str) -> str:
    """Return a mail's id in the form for URLs."""
    return base64.urlsafe_b64encode(message_id.encode()).decode().rstrip("=")


def read_mail_address(text: str) -> str:
    """Return the id that `mail_address` encoded; raises RefusedRequestError if it is invalid."""
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        message_id = found.decode()
    except (ValueError, binascii.Error):
        message_id = ""
    if not message_id or len(message_id) > 1_024:
        raise RefusedRequestError(HTTPStatus.NOT_FOUND, "There is no such mail here.")
    return message_id


def _line_before(place: _ListPlace) -> str:
    """Return the line from which on all mail was listed before."""
    return line_name(*place.after) if place.after else f"{place.month}-32"


def _month_before(month: str) -> str:
    year, number = int(month[:4]), int(month[5:])
    return f"{year - 1}-12" if number == 1 else f"{year}-{number - 1:02}"


def _page(found: Sequence[IndexEntry], place: _ListPlace) -> ListPage:
    """Return a page that is not the last one."""
    return ListPage(tuple(found), _cursor(place), place.month)


def _cursor(place: _ListPlace) -> str:
    return mail_address(json.dumps([place.month, *(place.after or ())]))


def _read_cursor(text: str) -> _ListPlace:
    """Return the place. It is untrusted, but every mail after it is checked anyway."""
    refused = RefusedRequestError(HTTPStatus.BAD_REQUEST, "The list cannot go on from there.")
    try:
        said = json.loads(read_mail_address(text))
    except (ValueError, RecursionError, RefusedRequestError):
        raise refused from None
    match said:
        case [str(month)] if _MONTH.fullmatch(month):
            return _ListPlace(month)
        case ["", "", str(name)] if 1 <= len(name.encode("utf-8", "replace")) <= 1_024:
            return _ListPlace("", ("", name))  # among those without a time
        case [str(month), str(moment), str(name)] if (
            _MONTH.fullmatch(month)
            and MOMENT.fullmatch(moment)
            and moment.startswith(month)
            and 1 <= len(name.encode("utf-8", "replace")) <= 1_024
        ):
            return _ListPlace(month, (moment, name))
    raise refused
