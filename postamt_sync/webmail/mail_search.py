"""What a person looks for: words in sender, recipient and subject, and days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from postamt_sync.index.entry import IndexEntry
from postamt_sync.mail.routing import caseless
from postamt_sync.webmail.exchange import RefusedRequestError

LONGEST_QUERY = 200
MOST_WORDS = 10


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: all of `words`, within [since, until) in the form of the index."""

    words: tuple[str, ...] = ()
    since: str = ""
    until: str = ""

    def lasts(self, moment: str) -> bool:
        """Tell whether a moment is within the days."""
        return moment >= self.since and (not self.until or moment < self.until)

    def fits(self, entry: IndexEntry, recipients: Iterable[str] = ()) -> bool:
        """Tell whether all words are in what a mail says, or in the addresses that it came for."""
        if not self.words:
            return True
        summary = entry.header.summary if entry.header else None
        accepted = entry.acceptance
        envelope = (*recipients, (accepted.sender if accepted else None))
        said = (summary.from_, summary.to, summary.cc, summary.subject) if summary else ()
        text = "\n".join(part for part in (*said, *envelope) if part)
        text = text.lower() if text.isascii() else caseless(text)
        return all(word in text for word in self.words)


def read_search(words: str, since: str, until: str) -> Search:
    """Return the search that a person typed; days as 2026-11-30, both included.

    Raises RefusedRequestError.
    """
    if len(words) > LONGEST_QUERY:
        raise RefusedRequestError(HTTPStatus.BAD_REQUEST, "That is too much to search for.")
    each = tuple(dict.fromkeys(caseless(words).split()))[:MOST_WORDS]
    return Search(each, _day(since, 0), _day(until, 1))


def _day(text: str, later: int) -> str:
    if not text:
        return ""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        moment = datetime.fromtimestamp(day.timestamp() + later * 86_400, UTC)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or not 2000 <= moment.year <= 2099:
        raise RefusedRequestError(HTTPStatus.BAD_REQUEST, "That is no day, as 2026-11-30 is.")
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
