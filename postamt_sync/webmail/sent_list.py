"""Mail that was sent from the webmail, as entries for the list and the reader."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from postamt_sync.index.entry import Acceptance, Basis, Header, IndexEntry, KnownFacts, Stored
from postamt_sync.index.list_facts import ListFacts
from postamt_sync.index.summary import Summary
from postamt_sync.mail.sent_mail import DRAFT_ID
from postamt_sync.webmail.exchange import RefusedRequestError
from postamt_sync.webmail.mail_list import MOMENT, PAGE, ListPage, mail_address, read_mail_address
from postamt_sync.webmail.mail_search import Search
from postamt_sync.webmail.record_table import Fields, RecordTable
from postamt_sync.webmail.sending import sent_holder

PREFIX = "sent:"
"""How the ids of these mails begin."""
_ASKED_AT_ONCE = 200
_MOST_PAGES = 10


class SentList:
    """The lines that sending wrote, for one mailbox at a time."""

    def __init__(self, table: RecordTable) -> None:
        self._table = table

    def page(self, mailbox: str, search: Search, cursor: str = "") -> ListPage:
        """Return the next mails, newest first. Raises RefusedRequestError for a wrong cursor."""
        after = read_mail_address(cursor) if cursor else ""
        if after and not _is_name(after):
            raise RefusedRequestError(HTTPStatus.BAD_REQUEST, "The list cannot go on from there.")
        found: list[IndexEntry] = []
        for _ in range(_MOST_PAGES):
            page = self._table.names(
                sent_holder(mailbox), most=_ASKED_AT_ONCE, after=after, newest_first=True
            )
            for name, fields in page.found:
                after = name
                entry = _entry(name, fields)
                if search.lasts(name.partition("#")[0]) and search.fits(entry):
                    found.append(entry)
                    if len(found) == PAGE:
                        return _page(found, after)
            if not (after := page.after):
                return ListPage(tuple(found))
        return _page(found, after)

    def recent(self, mailbox: str) -> list[IndexEntry]:
        """Return the latest mails, newest first."""
        page = self._table.names(sent_holder(mailbox), most=_ASKED_AT_ONCE, newest_first=True)
        return [_entry(name, fields) for name, fields in page.found]

    def find(self, mailbox: str, message_id: str) -> IndexEntry | None:
        """Return one sent mail, None if there is no such mail."""
        name = message_id.removeprefix(PREFIX)
        if not _is_name(name):
            return None
        fields = self._table.get(sent_holder(mailbox), name)
        return None if fields is None else _entry(name, fields)


def _page(found: Sequence[IndexEntry], after: str) -> ListPage:
    return ListPage(tuple(found), mail_address(after), after[: len("2026-11")])


def _is_name(name: str) -> bool:
    """Tell whether a line can have this name, which is untrusted."""
    moment, _, draft = name.partition("#")
    return bool(MOMENT.fullmatch(moment) and DRAFT_ID.fullmatch(draft))


def _entry(name: str, fields: Fields) -> IndexEntry:
    moment = name.partition("#")[0]
    summary = Summary(str(fields["sender"]), str(fields["to"]), None, str(fields["subject"]))
    return IndexEntry(
        f"{PREFIX}{name}",
        str(fields["key"]),
        acceptance=Acceptance(Basis.OBJECT, moment),
        header=Header(Basis.OBJECT, summary),
        stored=Stored(None, int(fields["size"])),
        listed=KnownFacts(Basis.OBJECT, _facts(fields)),
    )


def _facts(fields: Fields) -> ListFacts:
    return ListFacts(
        str(fields.get("own_id", "")),
        tuple(str(fields.get("references", "")).split()),
        attachment="attachment" in fields,
    )
