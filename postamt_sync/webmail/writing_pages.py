"""Requests of the page when a mail is written: sending it, and what became of it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from postamt_sync.index.entry import IndexEntry
from postamt_sync.mail.handed_routes import HandedRoutes
from postamt_sync.mail.routing import canonical_form
from postamt_sync.mail.sent_mail import DRAFT_ID
from postamt_sync.webmail.day_place import DayPlace
from postamt_sync.webmail.exchange import (
    RefusedRequestError,
    WebAnswer,
    WebRequest,
    text_field,
    told,
)
from postamt_sync.webmail.mail_content import (
    LONGEST_TEXT,
    MOST_ATTACHMENTS,
    Attached,
    MailContent,
    open_mail,
)
from postamt_sync.webmail.mail_store import MailStore
from postamt_sync.webmail.message_text import OutgoingFile, encoded_length
from postamt_sync.webmail.mime import harmless_name
from postamt_sync.webmail.outgoing import LARGEST_MESSAGE, Outgoing
from postamt_sync.webmail.reading_pages import threading
from postamt_sync.webmail.sending import DraftState, Sending, SendResult
from postamt_sync.webmail.sessions import WebSession
from postamt_sync.webmail.typed_addresses import (
    MOST_RECIPIENTS,
    TypedAddress,
    one_line,
    typed_addresses,
)

LONGEST_REQUEST = 58 << 20
"""Bytes: a message of 40 MB, whose attachments are in base64 here too."""
MOST_FILES = 100
"""The most attachments."""
LARGEST_FILE = LARGEST_MESSAGE * 3 // 4
"""Bytes of all attachments before they are encoded. The exact limit is checked later."""
_TYPE = re.compile(r"[a-z]{1,40}/[a-z0-9.+-]{1,80}", re.ASCII)

Found = Callable[[WebSession, str], IndexEntry]
"""Returns one of the session's mails by its id; raises RefusedRequestError."""


class WritingPages:
    """Sends mail from a mailbox's own addresses, and from no others."""

    def __init__(
        self,
        sending: Sending,
        handed: HandedRoutes,
        store: MailStore,
        mail: Found,
        day: DayPlace | None = None,
    ) -> None:
        """`day` is where the page uploads large attachments; without it all come with the mail."""
        self._day = day
        self._sending = sending
        self._handed = handed
        self._store = store
        self._mail = mail

    def addresses(self, session: WebSession) -> tuple[str, ...]:
        """Return the addresses that the session may write as."""
        return self._handed.own_addresses(session.mailbox)

    def send(self, session: WebSession, request: WebRequest) -> WebAnswer:
        """Send a mail, and answer what became of it."""
        said = request.fields(LONGEST_REQUEST)
        draft = _draft(text_field(said, "draft"))
        outgoing = self._outgoing(session, said)
        return _answer(self._sending.send(session.mailbox, draft, outgoing))

    def upload(self, session: WebSession, request: WebRequest) -> WebAnswer:
        """Answer with the form for uploading a large attachment to the day's place."""
        if self._day is None:
            raise RefusedRequestError(
                HTTPStatus.NOT_FOUND,
                "Here attachments are sent together with the mail.",
                code="no-uploads",
            )
        size = request.fields().get("size")
        if not isinstance(size, int) or isinstance(size, bool) or not size >= 0:
            raise _wrong("size is invalid.")
        if size > LARGEST_FILE:
            raise _too_large()
        form = self._day.upload(session.mailbox, size)
        return told({"url": form.url, "fields": dict(form.fields), "upload": form.name})

    def look(self, session: WebSession, draft: str) -> WebAnswer:
        """Answer what became of a draft."""
        result = self._sending.look(session.mailbox, _draft(draft))
        return told({"state": "unsent"}) if result is None else told(_told(result))

    def _outgoing(self, session: WebSession, said: Mapping[str, Any]) -> Outgoing:
        to, cc, bcc = (
            typed_addresses(text_field(said, name, 20_000)) for name in ("to", "cc", "bcc")
        )
        count = len({a.address.lower() for a in (*to, *cc, *bcc)})
        if not count:
            raise _wrong("Enter at least one recipient.", "addresses")
        if count > MOST_RECIPIENTS:
            raise _wrong(f"SES sends one mail to {MOST_RECIPIENTS} people at most.", "addresses")
        references: tuple[str, ...] = ()
        if answered := text_field(said, "answers", 2_000):
            part = text_field(said, "part", 200)
            references = threading(self._opened(session, answered, part))
        outgoing = Outgoing(
            self._sender(session, text_field(said, "from"), text_field(said, "name")),
            to,
            cc,
            bcc,
            one_line(text_field(said, "subject", 2_000), 500),
            text_field(said, "text", LONGEST_TEXT),
            references,
            (*self._forwarded(session, said), *self._files(session, said)),
        )
        if sum(encoded_length(len(each.content)) for each in outgoing.files) > LARGEST_MESSAGE:
            raise _too_large()
        return outgoing

    def _sender(self, session: WebSession, address: str, name: str) -> TypedAddress:
        for own in self.addresses(session):
            try:
                if canonical_form(own) == canonical_form(address):
                    (sender,) = typed_addresses(own)
                    return TypedAddress(one_line(name, 200), sender.address)
            except ValueError:
                break
        raise RefusedRequestError(
            HTTPStatus.FORBIDDEN, "This mailbox may not write as that address.", code="sender"
        )

    def _opened(self, session: WebSession, address: str, part: str) -> MailContent:
        content = open_mail(self._store.read(self._mail(session, address).key), part)
        if content is None:
            raise _wrong("The mail that you are answering is gone.")
        return content

    def _files(self, session: WebSession, said: Mapping[str, Any]) -> list[OutgoingFile]:
        files = said.get("files", [])
        if not isinstance(files, list) or len(files) > MOST_FILES:
            raise _wrong("The list of attachments is invalid.")
        found: list[OutgoingFile] = []
        left = LARGEST_FILE
        for each in files:
            match each:
                case {"name": str(name), "type": str(kind), "content": str(content)}:
                    try:
                        raw = base64.b64decode(content, validate=True)
                    except (binascii.Error, ValueError):
                        raise _wrong("An attachment arrived incomplete.") from None
                case {"name": str(name), "type": str(kind), "upload": str(upload)}:
                    raw = self._uploaded(session, upload, left)
                case _:
                    raise _wrong("The list of attachments is invalid.")
            if (left := left - len(raw)) < 0:
                raise _too_large()
            clean = harmless_name(one_line(name, 300)) or "attachment"
            found.append(OutgoingFile(clean, _harmless_type(kind), raw))
        return found

    def _uploaded(self, session: WebSession, upload: str, most: int) -> bytes:
        """Return what this mailbox, and no other, has uploaded to the day's place."""
        raw = self._day.uploaded(session.mailbox, upload, most) if self._day else None
        if raw is None:
            raise _wrong(
                "An attachment is gone: uploads are kept for a day. Attach it again.",
                "upload",
            )
        return raw

    def _forwarded(self, session: WebSession, said: Mapping[str, Any]) -> list[OutgoingFile]:
        """Return attachments of a mail that the session may see, each once."""
        match said.get("forward"):
            case None:
                return []
            case {"mail": str(address), "parts": [*parts]} if len(
                parts
            ) <= MOST_ATTACHMENTS and all(isinstance(part, str) for part in parts):
                raw = self._store.read(self._mail(session, address).key)
                return _parts(raw, dict.fromkeys(parts))
        raise _wrong("What is forwarded is invalid.")


def _parts(raw: bytes, paths: Iterable[str]) -> list[OutgoingFile]:
    opened: dict[str, dict[str, Attached]] = {}
    found: list[OutgoingFile] = []
    left = LARGEST_FILE
    for path in paths:
        within = path.rpartition(":")[0]
        if within not in opened:
            content = open_mail(raw, within)
            opened[within] = {each.path: each for each in content.attachments} if content else {}
        each = opened[within].get(path)
        if each is None:
            raise _wrong("An attachment that you are forwarding is gone.")
        part = each.part.content
        if (left := left - len(part)) < 0:
            raise _too_large()
        found.append(OutgoingFile(each.name, _harmless_type(each.part.type), part))
    return found


def _harmless_type(kind: str) -> str:
    return kind if _TYPE.fullmatch(kind) else "application/octet-stream"


def _draft(text: str) -> str:
    if not DRAFT_ID.fullmatch(text):
        raise _wrong("draft is invalid.")
    return text


def _answer(result: SendResult) -> WebAnswer:
    status = {
        DraftState.SENDING: HTTPStatus.ACCEPTED,
        DraftState.REFUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    }.get(result.state, HTTPStatus.OK)
    return told(_told(result), status)


def _told(result: SendResult) -> dict[str, str]:
    match result.state:
        case DraftState.SENT | DraftState.ACCEPTED:
            return {"state": "sent"}
        case DraftState.SENDING:
            return {"state": "perhaps"}
        case DraftState.REFUSED:
            return {"state": "refused", "problem": result.reason}


def _too_large() -> RefusedRequestError:
    return RefusedRequestError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "The attachments are too large: SES takes 40 MB, and they grow by a third.",
    )


def _wrong(problem: str, code: str = "") -> RefusedRequestError:
    return RefusedRequestError(HTTPStatus.BAD_REQUEST, problem, code=code)
