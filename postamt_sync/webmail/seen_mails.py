"""Which mails a mailbox has opened in the webmail. What was read at home is not known here."""

from __future__ import annotations

from collections.abc import Sequence

from postamt_sync.index.entry import IndexEntry
from postamt_sync.index.lists import line_name
from postamt_sync.webmail.record_table import RecordTable

_PAGE = 1_000


class SeenMails:
    """The marks in the webmail's table, in the order of the list."""

    def __init__(self, table: RecordTable) -> None:
        self._table = table

    def among(self, mailbox: str, entries: Sequence[IndexEntry]) -> set[str]:
        """Return the ids of those that were opened. `entries` are newest first, as on a page."""
        if not entries:
            return set()
        names = {_name(entry): entry.message_id for entry in entries}
        between = (min(names), max(names))
        seen: set[str] = set()
        after = ""
        while True:
            page = self._table.names(_holder(mailbox), most=_PAGE, after=after, between=between)
            seen |= {names[name] for name, _ in page.found if name in names}
            if not (after := page.after):
                return seen

    def mark(self, mailbox: str, entry: IndexEntry, *, seen: bool) -> None:
        """Mark a mail as seen or not seen; durable on return."""
        if seen:
            self._table.put(_holder(mailbox), _name(entry), {"seen": 1})
        else:
            self._table.delete(_holder(mailbox), _name(entry))


def _holder(mailbox: str) -> str:
    return f"seen#{mailbox}"


def _name(entry: IndexEntry) -> str:
    return line_name(entry.received_at, entry.message_id)
