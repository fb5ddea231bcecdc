"""A mail for the page: its text, its HTML for the frame, its attachments, and its source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from postamt_sync.index.entry import IndexEntry
from postamt_sync.mail.arrival import Verdicts
from postamt_sync.webmail.charsets import decoded
from postamt_sync.webmail.day_place import DayPlace
from postamt_sync.webmail.exchange import (
    RefusedRequestError,
    WebAnswer,
    WebRequest,
    disposition,
    told,
)
from postamt_sync.webmail.html_mail import SANDBOX, frame_page, frame_policy, plain_text
from postamt_sync.webmail.inline_images import InlineImages
from postamt_sync.webmail.listing_pages import described, one_way
from postamt_sync.webmail.mail_content import Attached, MailAddress, MailContent, open_mail
from postamt_sync.webmail.mail_store import MailStore
from postamt_sync.webmail.mime import find
from postamt_sync.webmail.verdict_words import verdict_words

HTML = "text/html; charset=utf-8"
LARGEST_DIRECT = 4 << 20
"""Bytes of a direct answer; if there is a day's place, what is larger goes there."""
SHOWN_SOURCE = 1 << 20
"""Bytes of a source that are shown. All of it can be downloaded."""
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,900}>")
"""Ids in a form that we can put into a field; others are not referred to in an answer."""
MOST_REFERENCES = 50
"""How many ids an answer refers to, besides that of the mail itself."""


class ReadingPages:
    """Answers requests about one mail, which the session may see."""

    def __init__(self, store: MailStore, day: DayPlace | None) -> None:
        """`day` is where large attachments are put; without one they are sent directly."""
        self._store = store
        self._day = day

    def mail(self, entry: IndexEntry, request: WebRequest, *, seen: bool) -> WebAnswer:
        """Answer with all of a mail except the content of its attachments."""
        content = self._open(entry, request)
        verdicts = entry.acceptance.verdicts if entry.acceptance else Verdicts()
        return told(
            {
                **described(entry, seen=seen),
                **_head(content),
                "verdicts": verdict_words(verdicts),
                "text": plain_text(content.plain),
                "html": content.has_html,
                "cut": content.cut,
                "attachments": [_attachment(each) for each in content.attachments],
            }
        )

    def html(self, entry: IndexEntry, request: WebRequest) -> WebAnswer:
        """Answer with the page for the frame."""
        content = self._open(entry, request)
        inline = InlineImages((each.part for each in content.attachments), self._day)
        images = request.query.get("images") == "1"
        pieces = content.rich or content.plain
        page, left_out = frame_page(pieces, inline.address, images=images)
        headers = {
            "Content-Type": HTML,
            "Content-Security-Policy": frame_policy(images=images, image_host=inline.host),
            "Postamt-Images-Left-Out": str(left_out),
            "X-DNS-Prefetch-Control": "off",
        }
        return WebAnswer(HTTPStatus.OK, page, headers)

    def attachment(self, entry: IndexEntry, path: str) -> WebAnswer:
        """Answer with an attachment, so that it can never be opened as a page of ours."""
        raw = self._store.read(entry.key)
        content = open_mail(raw, path.rpartition(":")[0])
        attachments = content.attachments if content else []
        found = next((each for each in attachments if each.path == path), None)
        part = find(raw, path) if found else None
        if found is None or part is None:
            raise RefusedRequestError(HTTPStatus.NOT_FOUND, "There is no such attachment.")
        return self._download(part.content, found.name)

    def source(self, entry: IndexEntry, request: WebRequest) -> WebAnswer:
        """Answer with the stored mail: its beginning as text, or all of it as a download."""
        if request.query.get("download") == "1":
            # A sealed mail may be gone by now: then the answer must be ours, not S3's.
            at = "" if entry.sealed else self._store.presigned(entry.key, "mail.eml")
            if self._day is not None and at:
                return _elsewhere(at)
            return self._download(self._store.read(entry.key), "mail.eml")
        shown = decoded(self._store.head(entry.key, SHOWN_SOURCE), "utf-8")
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Security-Policy": f"sandbox {SANDBOX}; default-src 'none'",
        }
        return WebAnswer(HTTPStatus.OK, shown.encode(), headers)

    def _open(self, entry: IndexEntry, request: WebRequest) -> MailContent:
        path = request.query.get("part", "")
        content = None
        if re.fullmatch(r"[\d.:]{0,200}", path):
            content = open_mail(self._store.read(entry.key), path)
        if content is None:
            raise RefusedRequestError(HTTPStatus.NOT_FOUND, "There is no such mail in it.")
        return content

    def _download(self, content: bytes, name: str) -> WebAnswer:
        if self._day is not None and len(content) > LARGEST_DIRECT:
            return _elsewhere(self._day.keep(content, name))
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": disposition(name),
            "Content-Security-Policy": "sandbox; default-src 'none'",
        }
        return WebAnswer(HTTPStatus.OK, content, headers)


def _elsewhere(address: str) -> WebAnswer:
    return WebAnswer(HTTPStatus.SEE_OTHER, b"", {"Location": address})


def threading(content: MailContent) -> tuple[str, ...]:
    """Return the References for an answer to this mail (RFC 5322 section 3.6.4)."""
    head = content.head
    before = _MESSAGE_ID.findall(head.words("references", 20_000)) or _MESSAGE_ID.findall(
        head.words("in-reply-to")
    )
    own = _MESSAGE_ID.findall(head.words("message-id"))[:1]
    known = [each for each in before if each not in own]
    return (*known[-MOST_REFERENCES:], *own) if own else ()


def _head(content: MailContent) -> Mapping[str, Any]:
    head = content.head
    return {
        "subject": one_way(head.words("subject")),
        "from": _people(content.addresses("from")),
        "to": _people(content.addresses("to")),
        "cc": _people(content.addresses("cc")),
        "reply_to": _people(content.addresses("reply-to")),
        "date": head.words("date", 100),
        "references": threading(content),
    }


def _people(addresses: tuple[MailAddress, ...]) -> list[dict[str, str]]:
    return [{"name": one_way(each.name), "address": each.address} for each in addresses]


def _attachment(each: Attached) -> dict[str, Any]:
    return {
        "part": each.path,
        "name": each.name,
        "type": each.part.type,
        "size": each.part.size,
        "inline": each.inline,
        "mail": each.is_mail,
    }
