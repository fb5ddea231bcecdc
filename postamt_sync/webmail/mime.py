"""The structure of a mail (RFC 2045, 2046): its parts, their headers and bytes.

The standard library's parser raises on ordinary junk, and recurses as deep as a sender likes. Here
nothing raises, everything has a limit, and a part is a range of the mail's bytes until it is
needed. What cannot be understood stays a part that can be downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote_to_bytes

from postamt_sync.index.summary import readable
from postamt_sync.mail.header_block import ANY_FIELD, first_fields
from postamt_sync.webmail.charsets import decoded
from postamt_sync.webmail.transfer_encoding import without_encoding

MOST_PARTS = 1_000
"""The most parts of a mail."""
DEEPEST = 30
"""How deep multiparts may be nested."""
LONGEST_HEAD = 1 << 20
"""Bytes that are read of a part's header."""
LONGEST_PARAMETERS = 8 << 10
"""Bytes that are read of a field with parameters."""
LOOKED_THROUGH = 200 << 20
"""Bytes that are searched for boundaries, at all levels together; what is deeper is not opened."""
_MOST_PARAMETERS = 50
_BEGINNING = 200

# None of these expressions can match a text in two ways.
_HEAD_END = re.compile(rb"\n\r?\n")
_PARAMETER = re.compile(rb';\s*([^\s=;"]{1,80})\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)', re.DOTALL)
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,80}/[a-z0-9!#$&^_.+-]{1,80}", re.ASCII)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_SECTION = re.compile(r"(.+?)\*(\d{1,3})?(\*?)", re.ASCII)


@dataclass(frozen=True)
class MimePart:
    """One part. `path` is "" for the mail itself, and "2.1" for part 2.1 in it.

    `raw` is the whole mail. The part is [`start`, `end`) of it, and its body begins at `body_at`.
    """

    raw: bytes
    path: str
    start: int
    body_at: int
    end: int
    type: str
    charset: str
    children: tuple[MimePart, ...] = ()

    @cached_property
    def fields(self) -> dict[str, bytes]:
        """The raw value of each field, by name in lower case; of several the first."""
        return _fields(self.raw, self.start, self.body_at)

    def words(self, name: str, longest: int = 1_000) -> str:
        """Return a field's value in readable form, "" if there is none."""
        return readable(self.fields.get(name, b""), longest, self.charset)

    @property
    def encoded(self) -> bytes:
        """The body as it is in the mail, with its transfer encoding."""
        return self.raw[self.body_at : self.end]

    @property
    def content(self) -> bytes:
        """The body without its transfer encoding; invalid parts of it are left out."""
        return without_encoding(self.encoded, self._encoding)

    @property
    def beginning(self) -> bytes:
        """The first bytes of `content`, at least a few."""
        return without_encoding(self.encoded[:_BEGINNING], self._encoding)

    @property
    def size(self) -> int:
        """The approximate size of `content` in bytes, without decoding it."""
        length = self.end - self.body_at
        return length * 73 // 100 if self._encoding == "base64" else length

    @cached_property
    def filename(self) -> str:
        """The sender's name for the file, made harmless, "" if there is none."""
        disposition = _parameters(self.fields.get("content-disposition", b""))[1]
        name = disposition.get("filename") or self._type_parameters.get("name") or ""
        return harmless_name(name)

    @cached_property
    def is_attachment(self) -> bool:
        """Whether the sender declares it as one."""
        return _parameters(self.fields.get("content-disposition", b""))[0] == "attachment"

    @property
    def content_id(self) -> str:
        """The Content-ID without angle brackets, "" if there is none."""
        return self.words("content-id").strip().removeprefix("<").removesuffix(">").strip()

    @cached_property
    def _type_parameters(self) -> dict[str, str]:
        return _parameters(self.fields.get("content-type", b""))[1]

    @property
    def start_id(self) -> str:
        """The content id of the root of a multipart/related, "" if that is the first part."""
        return self._type_parameters.get("start", "").strip("<> ")

    @property
    def _encoding(self) -> str:
        words = self.words("content-transfer-encoding", 60).lower().partition(";")[0].split()
        return words[0] if words else ""

    def walk(self) -> Iterator[MimePart]:
        """Yield this part and all parts in it, in order."""
        yield self
        for child in self.children:
            yield from child.walk()


def parse(raw: bytes) -> MimePart:
    """Return the mail as a tree of parts; never raises."""
    return _Parser(raw).part("", 0, len(raw), 0, "text/plain")


def find(raw: bytes, path: str) -> MimePart | None:
    """Return the part at a path; `2:1.3` is part 1.3 of the mail that is attached as part 2."""
    part: MimePart | None = None
    for step in path.split(":"):
        mail = parse(raw if part is None else part.content)
        part = next((each for each in mail.walk() if each.path == step), None)
        if part is None or path.count(":") > DEEPEST:
            return None
    return part


class _Parser:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._left = MOST_PARTS
        self._looks_left = LOOKED_THROUGH

    def part(self, path: str, start: int, end: int, depth: int, usual: str) -> MimePart:
        self._left -= 1
        body_at = self._body(start, end)
        fields = _fields(self._raw, start, body_at)
        kind, parameters = _parameters(fields.get("content-type", b""))
        kind = kind if _TYPE.fullmatch(kind) else usual
        children: tuple[MimePart, ...] = ()
        boundary = parameters.get("boundary", "")
        if kind.startswith("multipart/"):
            opened = depth < DEEPEST and self._looks_left >= end - body_at
            if boundary and opened:
                self._looks_left -= end - body_at
                children = tuple(self._children(path, boundary, body_at, end, depth, kind))
            if not children:  # no boundary, a wrong one or too many levels: show it as it is
                kind = "text/plain" if opened else "application/octet-stream"
        return MimePart(
            self._raw, path, start, body_at, end, kind, parameters.get("charset", ""), children
        )

    def _children(
        self, path: str, boundary: str, start: int, end: int, depth: int, kind: str
    ) -> Iterator[MimePart]:
        # Nothing but white space may follow it in its line.
        mark = re.escape(boundary.encode("utf-8", "replace"))
        line = re.compile(rb"\n--%b[ \t\r\x0b\f]*+(--)?+[ \t\r\x0b\f]*+(?:\n|\Z)" % mark)
        usual = "message/rfc822" if kind == "multipart/digest" else "text/plain"
        begin: int | None = None
        number = 0
        at = start
        while self._left > 0:
            found = self._boundary(line, at, end)
            if begin is not None:
                number += 1
                until = end if found is None else self._line_end_before(begin, found[0])
                below = f"{path}.{number}" if path else str(number)
                yield self.part(below, begin, until, depth + 1, usual)
            if found is None or found[2]:
                return
            begin = at = found[1]

    def _boundary(self, line: re.Pattern[bytes], at: int, end: int) -> tuple[int, int, bool] | None:
        """Return where the next boundary begins and ends, and whether it is the last one.

        `at` is the beginning of a line, after a header.
        """
        found = line.search(self._raw, at - 1, end)
        return None if found is None else (found.start() + 1, found.end(), bool(found[1]))

    def _line_end_before(self, begin: int, at: int) -> int:
        """Return where a part ends: the line end before a boundary belongs to the boundary."""
        for line_end in (b"\r\n", b"\n"):
            if self._raw[max(begin, at - len(line_end)) : at] == line_end:
                return at - len(line_end)
        return max(begin, at)

    def _body(self, start: int, end: int) -> int:
        for line_end in (b"\n", b"\r\n"):
            if self._raw[start : start + len(line_end)] == line_end:
                return min(start + len(line_end), end)
        found = _HEAD_END.search(self._raw, start, end)
        if found is not None:
            return found.end()
        return end if _fields(self._raw, start, end) else start


def _fields(raw: bytes, start: int, end: int) -> dict[str, bytes]:
    return first_fields(raw[start : min(end, start + LONGEST_HEAD)], ANY_FIELD)


def _parameters(field: bytes) -> tuple[str, dict[str, str]]:
    """Return a field's value in lower case, and its parameters (RFC 2045, 2231)."""
    flat = field[:LONGEST_PARAMETERS].replace(b"\r", b"").replace(b"\n", b" ")
    value = flat.partition(b";")[0].strip().decode("ascii", "replace").lower()
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[bytes, bool]]] = {}
    for count, found in enumerate(_PARAMETER.finditer(flat)):
        if count == _MOST_PARAMETERS:
            break
        name, text = found[1].decode("ascii", "replace").lower(), found[2].strip()
        if text.startswith(b'"'):
            text = _ESCAPED.sub(rb"\1", text.strip(b'"'))
        section = _SECTION.fullmatch(name)
        if section is None:
            plain.setdefault(name, readable(text))
        else:
            number = int(section[2] or 0)
            escaped = bool(section[3]) or section[2] is None
            sections.setdefault(section[1], {}).setdefault(number, (text, escaped))
    for name, each in sections.items():
        plain[name] = _joined(each)
    return value, plain


def _joined(sections: dict[int, tuple[bytes, bool]]) -> str:
    charset = ""
    whole = b""
    for number in sorted(sections):
        text, escaped = sections[number]
        if escaped:
            if number == min(sections) and text.count(b"'") >= 2:
                name, _, text = text.split(b"'", 2)
                charset = name.decode("ascii", "replace")
            text = unquote_to_bytes(text)
        whole += text
    return " ".join(decoded(whole, charset).split())[:1_000]


def harmless_name(name: str) -> str:
    """Return a file name without directories, control characters and changes of direction."""
    flat = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in name)
    flat = " ".join(flat.split()).strip(" .")  # many blanks would push the extension out of sight
    if len(flat) > 120:
        stem, dot, extension = flat.rpartition(".")
        short = len(extension) <= 10
        flat = f"{stem[:100]}{dot}{extension}" if dot and short else flat[:120]
    return flat
