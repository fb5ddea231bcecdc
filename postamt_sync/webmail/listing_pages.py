"""The list of mails for the page, and the marks on them."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from postamt_sync.index.entry import IndexEntry
from postamt_sync.webmail.conversations import Conversations, links
from postamt_sync.webmail.exchange import RefusedRequestError, WebAnswer, WebRequest, told
from postamt_sync.webmail.mail_list import MailList, mail_address
from postamt_sync.webmail.mail_search import read_search
from postamt_sync.webmail.seen_mails import SeenMails
from postamt_sync.webmail.sent_list import PREFIX, SentList
from postamt_sync.webmail.sessions import WebSession
from postamt_sync.webmail.verdict_words import BAD, verdict_words

FOLDERS = ("inbox", "junk", "sent")
_TURNS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))


class ListingPages:
    """Answers requests about more than one mail."""

    def __init__(
        self,
        mails: MailList,
        sent: SentList,
        seen: SeenMails,
        conversations: Conversations,
        complete: Callable[[str], None],
    ) -> None:
        """`complete` is called before a mailbox's Sent is listed from the beginning."""
        self._complete = complete
        self._conversations = conversations
        self._mails = mails
        self._sent = sent
        self._seen = seen

    def page(self, session: WebSession, request: WebRequest) -> WebAnswer:
        """Answer with a page of a folder's list, or of a search."""
        asked = request.query
        folder = asked.get("folder", "inbox")
        if folder not in FOLDERS:
            raise RefusedRequestError(HTTPStatus.NOT_FOUND, "There is no such folder.")
        search = read_search(asked.get("q", ""), asked.get("since", ""), asked.get("until", ""))
        cursor = asked.get("cursor", "")
        if folder == "sent":
            if not cursor:
                self._complete(session.mailbox)
            found = self._sent.page(session.mailbox, search, cursor)
            seen = {entry.message_id for entry in found.entries}
        else:
            found = self._mails.page(session, junk=folder == "junk", search=search, cursor=cursor)
            seen = self._seen.among(session.mailbox, found.entries)
        mails = [described(entry, seen=entry.message_id in seen) for entry in found.entries]
        return told({"mails": mails, "cursor": found.cursor, "reached": found.reached})

    def conversation(self, session: WebSession, entry: IndexEntry) -> WebAnswer:
        """Answer with all mails of a mail's conversation, oldest first."""
        found = self._conversations.of(session, entry)
        seen = self._seen.among(session.mailbox, found[::-1])
        return told(
            {
                "mails": [
                    described(
                        each, seen=each.message_id in seen or each.message_id.startswith(PREFIX)
                    )
                    for each in found
                ]
            }
        )

    def mark(self, session: WebSession, request: WebRequest, message_id: str) -> WebAnswer:
        """Mark a mail as seen or not seen."""
        seen = request.fields().get("seen")
        if not isinstance(seen, bool):
            raise RefusedRequestError(HTTPStatus.BAD_REQUEST, "seen is invalid.")
        self._seen.mark(session.mailbox, self._mails.find(session, message_id), seen=seen)
        return told({"seen": seen})


def one_way(text: str) -> str:
    """Return text from a header without characters that change the direction of what follows."""
    return text.translate(_TURNS)


def described(entry: IndexEntry, *, seen: bool) -> dict[str, Any]:
    """Return what the list shows of a mail."""
    summary = entry.header.summary if entry.header else None
    accepted = entry.acceptance
    words = verdict_words(accepted.verdicts) if accepted else []
    return {
        "id": mail_address(entry.message_id),
        "from": one_way((summary and summary.from_) or (accepted and accepted.sender) or ""),
        "to": one_way((summary and summary.to) or ""),
        "subject": one_way((summary and summary.subject) or ""),
        "received": entry.received_at,
        "size": entry.stored.size if entry.stored else None,
        "attachment": entry.listed is not None and entry.listed.facts.attachment,
        "links": links(entry),
        "sent": entry.message_id.startswith(PREFIX),
        "warning": next((word["text"] for word in words if word["weight"] == BAD), ""),
        "seen": seen,
        **({"sealed": True} if entry.sealed else {}),
    }
