"""Searches: words in sender, recipients and subject, and days."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from postamt_sync.index.entry import IndexEntry
from postamt_sync.index.notice_values import iso
from postamt_sync.mail.routing import caseless
from postamt_sync.webmail.exchange import RefusedRequestError

LONGEST_QUERY = 200
MOST_WORDS = 10


@dataclass(frozen=True, slots=True)
class Search:
    """A search for all of `words`, within [since, until) in the form of the index."""

    words: tuple[str, ...] = ()
    since: str = ""
    until: str = ""

    def lasts(self, moment: str) -> bool:
        """Tell whether a time is within the days."""
        return moment >= self.since and (not self.until or moment < self.until)

    def fits(self, entry: IndexEntry, addressed: Callable[[], Iterable[str]] = lambda: ()) -> bool:
        """Tell whether all words are in a mail's header or in the addresses that it was sent to.

        `addressed` returns those that the user may know of; it is only called if they matter.
        """
        if not self.words:
            return True
        left = _without(self.words, _said(entry))
        if not left or _without(left, entry.recipients):
            return not left
        return not _without(left, addressed())


def _said(entry: IndexEntry) -> Iterator[str]:
    summary = entry.header.summary if entry.header else None
    texts = (summary.from_, summary.to, summary.cc, summary.subject) if summary else ()
    sender = entry.acceptance.sender if entry.acceptance else None
    return filter(None, (*texts, sender))


def _without(words: Sequence[str], texts: Iterable[str]) -> list[str]:
    """Return the words that are in none of the texts. No word contains a newline."""
    text = "\n".join(texts)
    text = text.lower() if text.isascii() else caseless(text)
    return [word for word in words if word not in text]


def read_search(words: str, since: str, until: str) -> Search:
    """Return the search that a person typed. Raises RefusedRequestError.

    `since` and `until` are either days in UTC such as 2026-11-30, both included, or times in the
    form of the index, [since, until): only the page knows when the user's day begins and ends.
    """
    if len(words) > LONGEST_QUERY:
        raise RefusedRequestError(HTTPStatus.BAD_REQUEST, "That is too much to search for.")
    each = tuple(dict.fromkeys(caseless(words).split()))[:MOST_WORDS]
    return Search(each, _moment(since, 0), _moment(until, 1))


def _moment(text: str, later: int) -> str:
    """Return when a day begins, plus `later` days. A time is returned as it is."""
    if not text:
        return ""
    moment: datetime | None = None
    with contextlib.suppress(ValueError, OverflowError):
        if "T" in text:
            moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        else:
            day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
            moment = day + timedelta(days=later)
    if moment is None or not 2000 <= moment.year <= 2099:
        raise RefusedRequestError(HTTPStatus.BAD_REQUEST, "That is not a day. Example: 2026-11-30.")
    return iso(moment.timestamp())
