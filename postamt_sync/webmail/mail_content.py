"""Choosing from a mail's parts what is shown and what is attached."""

from __future__ import annotations

import contextlib
import email.utils
from collections.abc import Iterator
from dataclasses import dataclass, field

from postamt_sync.index.summary import readable
from postamt_sync.webmail.calendar_text import calendar_text
from postamt_sync.webmail.charsets import charset_in_html, decoded
from postamt_sync.webmail.inline_images import image_type, named_in
from postamt_sync.webmail.mime import MimePart, find, harmless_name, parse

LONGEST_TEXT = 500_000
"""Characters of text that are shown."""
LONGEST_HTML = 1_500_000
"""Bytes of HTML that are shown; cleaning them takes a second or two."""
LONGEST_ADDRESSES = 16 << 10
"""Bytes that are read of a field with addresses."""
MOST_ADDRESSES = 300
MOST_ATTACHMENTS = 300

_LENIENT = {"strict": False} if hasattr(email.utils, "supports_strict_parsing") else {}
_EXTENSIONS = {
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/html": ".html",
    "text/plain": ".txt",
    "application/pdf": ".pdf",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
}
_SHOWN_AS_TEXT = {"text/plain", "message/delivery-status", "text/rfc822-headers", "text/enriched"}


@dataclass(frozen=True, slots=True)
class MailAddress:
    """One address in the header. `name` is the display name, or ""."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A piece of what is shown, in order: text, or HTML that was not made harmless yet."""

    text: str
    is_html: bool = False


@dataclass(frozen=True, slots=True)
class Attached:
    """An attachment. `inline`: the HTML shows it, by its content id."""

    part: MimePart
    path: str
    name: str
    inline: bool

    @property
    def is_mail(self) -> bool:
        return self.part.type in {"message/rfc822", "message/global"}


@dataclass(slots=True)
class MailContent:
    """The content of a mail. `plain` and `rich` are two versions of the same text.

    `cut`: they do not have all of it.
    """

    head: MimePart
    plain: list[Shown] = field(default_factory=list)
    rich: list[Shown] = field(default_factory=list)
    attachments: list[Attached] = field(default_factory=list)
    cut: bool = False

    @property
    def has_html(self) -> bool:
        return any(piece.is_html for piece in self.rich)

    def addresses(self, name: str) -> tuple[MailAddress, ...]:
        """Return a field's addresses, as far as they can be parsed."""
        return read_addresses(self.head.fields.get(name, b""))


def open_mail(raw: bytes, path: str = "") -> MailContent | None:
    """Return the content of a mail, or of the one in it at `path`; None if there is none."""
    mail = parse(raw)
    if path:
        part = find(raw, path)
        if part is None or part.type not in {"message/rfc822", "message/global"}:
            return None
        mail = parse(part.content)
    reader = _Reader(path)
    reader.read(mail)
    return reader.content(mail)


def read_addresses(raw: bytes) -> tuple[MailAddress, ...]:
    """Return the addresses in a field's value; anything else is left out."""
    text = raw[:LONGEST_ADDRESSES].decode("utf-8", "replace").replace("\r", "").replace("\n", "")
    found: list[tuple[str, str]] = []
    # The parser answers thousands of nested comments with a RecursionError, other oddities with the
    # rest of these.
    with contextlib.suppress(RecursionError, ValueError, IndexError, TypeError):
        found = email.utils.getaddresses([text], **_LENIENT)
    return tuple(
        MailAddress(readable(name.encode("utf-8", "replace"), 200), address[:320])
        for name, address in found[:MOST_ADDRESSES]
        if "@" in address and address.isprintable()
    )


class _Reader:
    def __init__(self, path: str) -> None:
        self._prefix = f"{path}:" if path else ""
        self._plain: list[Shown] = []
        self._rich: list[Shown] = []
        self._attached: list[tuple[MimePart, str]] = []
        self._text_left = LONGEST_TEXT
        self._html_left = LONGEST_HTML
        self._cut = False

    def content(self, mail: MimePart) -> MailContent:
        named = {each for piece in self._rich if piece.is_html for each in named_in(piece.text)}
        parts = [each for each, _ in self._attached if each.content_id in named]
        shown = {each.content_id: each for each in parts}  # of two with the same id, the last
        attachments = [
            Attached(
                each,
                path,
                _name(each),
                shown.get(each.content_id) is each and bool(image_type(each)),
            )
            for each, path in self._attached
        ]
        return MailContent(mail, self._plain, self._rich, attachments, self._cut)

    def read(self, part: MimePart) -> None:
        match part.type:
            case "multipart/alternative" if part.children:
                self._alternative(part)
            case "multipart/related" if part.children:
                self._related(part)
            case _ if part.children:
                for child in part.children:
                    self.read(child)
            case _:
                self._leaf(part)

    def _leaf(self, part: MimePart) -> None:
        is_body = not part.path or not (part.is_attachment or part.filename)
        if part.type in _SHOWN_AS_TEXT and (is_body or part.type != "text/plain"):
            self._both(self._text(part))
        elif part.type == "text/html" and is_body:
            self._html(part)
        elif part.type == "text/calendar":
            self._both(calendar_text(decoded(part.content[:LONGEST_TEXT], part.charset)))
            self._attach(part)
        else:
            self._attach(part)

    def _alternative(self, part: MimePart) -> None:
        """Take one version of each kind; those that only programs understand are attached."""
        html = next((c for c in reversed(part.children) if _holds_html(c)), None)
        text = next((c for c in part.children if c.type == "text/plain"), None)
        others = [c for c in part.children if c is not html and c is not text]
        if html is None:
            for child in (text, *others) if text else others:
                self.read(child)
            return
        plain_before = len(self._plain)
        self.read(html)
        if text is not None:
            del self._plain[plain_before:]
            self._plain.append(Shown(self._text(text)))
        for child in others:
            if child.type != "text/plain" or child.is_attachment or child.filename:
                self.read(child)

    def _related(self, part: MimePart) -> None:
        first = next(
            (c for c in part.children if part.start_id and c.content_id == part.start_id), None
        )
        root = first or part.children[0]
        self.read(root)
        for child in part.children:
            if child is root:
                continue
            if child.children:
                self.read(child)
            else:
                self._attach(child)

    def _html(self, part: MimePart) -> None:
        raw = part.content
        if len(raw) > self._html_left:
            raw, self._cut = raw[: self._html_left], True
        self._html_left -= len(raw)
        html = decoded(raw, part.charset or charset_in_html(raw))
        self._rich.append(Shown(html, is_html=True))
        self._plain.append(Shown(html, is_html=True))

    def _text(self, part: MimePart) -> str:
        raw = part.content
        if len(raw) > 4 * self._text_left:
            raw, self._cut = raw[: 4 * self._text_left], True
        text = decoded(raw, part.charset)
        if len(text) > self._text_left:
            text, self._cut = text[: self._text_left], True
        self._text_left -= len(text)
        return text

    def _both(self, text: str) -> None:
        if text.strip():
            self._plain.append(Shown(text))
            self._rich.append(Shown(text))

    def _attach(self, part: MimePart) -> None:
        if len(self._attached) >= MOST_ATTACHMENTS:
            self._cut = True
            return
        self._attached.append((part, f"{self._prefix}{part.path}"))


def _holds_html(part: MimePart) -> bool:
    """Tell whether a version of the text is HTML, with or without images."""
    return any(p.type == "text/html" and not p.is_attachment for p in _leaves(part))


def _leaves(part: MimePart) -> Iterator[MimePart]:
    return (each for each in part.walk() if not each.children)


def _name(part: MimePart) -> str:
    if part.filename:
        return part.filename
    if part.type == "message/rfc822":
        subject = harmless_name(parse(part.content[: 64 << 10]).words("subject", 80))
        if subject:
            return f"{subject}.eml"
    number = part.path.replace(".", "-") or "1"
    return f"part-{number}{_EXTENSIONS.get(part.type, '.bin')}"
