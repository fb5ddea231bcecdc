"""What a list of mails needs besides the summary: which mails belong together, and the mark of an
attachment.

Message-ID, In-Reply-To and References are the sender's words, of any length and number: they are
kept as far as the bounds go, and mean no more than that two mails name the same id.
RFC 5322, section 3.6.4.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from postamt_sync.mail.header_block import fields_named, first_fields, whole_header

MOST_REFERENCES = 20
"""Ids kept of those that a mail names: the first, which began it all, and the last ones."""
LONGEST_ID = 250
"""Octets of an id; a longer one is kept as its hash."""
_READ = 32 << 10
"""Octets of a field that are read from its beginning, and from its end."""

_NAMES = ("message-id", "in-reply-to", "references", "content-type", "content-disposition")
_FIELDS = fields_named(*_NAMES)
_ID = re.compile(rb"<([^<>]*)>")
_ATTACHED = ("application/", "audio/", "image/", "video/", "multipart/mixed")
_NOT_ATTACHED = ("application/pkcs7-", "application/x-pkcs7-", "application/pgp")


@dataclass(frozen=True, slots=True)
class ListFacts:
    """`own_id` is the Message-ID, "" without one; `references` are the ids of the mails that this
    one answers, oldest first, each once. All of them are without angle brackets.

    `attachment`: as the header tells, there is something to keep in it.
    """

    own_id: str = ""
    references: tuple[str, ...] = ()
    attachment: bool = False


def facts_of_head(head: bytes) -> ListFacts | None:
    """Return the facts of a mail that begins with `head`, None where there are none."""
    return _facts(first_fields(whole_header(head), _FIELDS))


def facts_of_receipt(mail: Mapping[str, object]) -> ListFacts | None:
    """Return the facts from the member `mail` of a SES receipt, None where there are none."""
    raw: dict[str, bytes] = {}
    headers = mail.get("headers")
    for header in headers if isinstance(headers, list) else ():
        name, value = (
            (header.get("name"), header.get("value")) if isinstance(header, dict) else (None, None)
        )
        if isinstance(name, str) and isinstance(value, str) and name.lower() in _NAMES:
            raw.setdefault(name.lower(), value.encode("utf-8", "replace"))
    return _facts(raw)


def _facts(raw: Mapping[str, bytes]) -> ListFacts | None:
    own = next(_ids(raw.get("message-id", b""), bare=True), "")
    named = [*_ids(raw.get("references", b"")), *_ids(raw.get("in-reply-to", b""))]
    facts = ListFacts(own, _bounded(each for each in named if each != own), _is_attached(raw))
    return None if facts == ListFacts() else facts


def _ids(value: bytes, *, bare: bool = False) -> Iterator[str]:
    """Yield the ids in a field; `bare`: one that stands there without angle brackets too."""
    if len(value) > 2 * _READ:
        value = value[:_READ] + b" " + value[-_READ:]
    found = [b"".join(each[1].split()) for each in _ID.finditer(value)]
    if not found and bare and b"@" in value and len(value.split()) == 1:
        found = [value.strip().strip(b"<>")]
    for each in found:
        if each:
            yield _kept(each)


def _kept(raw: bytes) -> str:
    text = "".join(c if c.isprintable() else "?" for c in raw.decode("utf-8", "replace"))
    if len(text.encode()) <= LONGEST_ID:
        return text
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _bounded(ids: Iterable[str]) -> tuple[str, ...]:
    each = tuple(dict.fromkeys(ids))
    if len(each) <= MOST_REFERENCES:
        return each
    return (each[0], *each[-MOST_REFERENCES + 1 :])


def _is_attached(raw: Mapping[str, bytes]) -> bool:
    disposition, kind = (
        raw.get(name, b"")[:200].split(b";")[0].strip().lower().decode("ascii", "replace")
        for name in ("content-disposition", "content-type")
    )
    if disposition == "attachment":
        return True
    return kind.startswith(_ATTACHED) and not kind.startswith(_NOT_ATTACHED)
