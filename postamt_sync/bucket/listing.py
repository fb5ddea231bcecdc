"""One page of ListObjectsV2, read as its bytes arrive (S3 API Reference, "ListObjectsV2").

A page is believed only whole: in key order, under the prefix, at most a thousand keys, no bigger
than such a page can be. The ledger compares page by page by range and relies on that order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes
from xml.parsers import expat

from postamt_sync.errors import TryLaterError
from postamt_sync.mail.arrival import is_archived

PAGE_KEYS = 1000
PAGE_BYTES = 8 << 20
"""A thousand keys of 1,024 bytes, each byte written as %XX, take half of it."""


class MalformedListingError(TryLaterError):
    """What came is no listing of S3's, or only a part of one."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The listing of the bucket cannot be used: {reason}.",
            "If it stays, check whether a proxy or login page stands between us and S3.",
        )


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing shows it.

    `etag` is without quotes, `size` in bytes, `last_modified` as S3 wrote it (ISO 8601): most rows
    are known already and nobody asks for their time. `restored` tells that an archived object can
    be read for now. `sealed_key` is not empty for an object of which only the sealed one is left:
    where that lies. All else is the plain object's then, but for its class.
    """

    key: str
    etag: str
    size: int
    last_modified: str
    storage_class: str
    restored: bool
    sealed_key: str = ""

    @property
    def archived(self) -> bool:
        """Whether it must be restored before it can be read."""
        return is_archived(self.storage_class, restored=self.restored)

    @property
    def modified_at(self) -> float:
        """Seconds since 1970; raises MalformedListingError where S3's time is none."""
        try:
            moment = datetime.fromisoformat(self.last_modified)
        except ValueError as error:
            raise MalformedListingError("a time in it is no time") from error
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class Page:
    """Feed it the bytes of one answer, then `finish()`.

    `after` is the last key of the page before, "" for the first: what does not come after it is
    refused, so a listing always ends. Any fault raises MalformedListingError. S3 may answer 200
    and then send an Error: look at `error_document` before `finish()`.
    """

    def __init__(self, prefix: str, after: str) -> None:
        self._prefix = prefix
        self._seen = 0
        self._root = ""
        self._about: dict[str, str] = {}
        self._fields = self._about
        self._objects: list[dict[str, str]] = []
        self._text: list[str] = []
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.CharacterDataHandler = self._text.append
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.token = ""
        """Where the next page begins; "" after the last. Opaque."""
        self.last_key = after
        self.unreadable = 0
        """Keys that are not UTF-8: S3 has none, and no request could name one."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the answer, however they were cut."""
        self._seen += len(data)
        if self._seen > PAGE_BYTES:
            raise MalformedListingError("a page of it is too big")
        self._parse(data, last=False)

    @property
    def error_document(self) -> dict[str, str] | None:
        """The leaves of the Error that came in place of a listing, else None."""
        return self._about if self._root == "Error" else None

    def finish(self) -> list[Listed]:
        """Return the page's objects in key order, once all bytes were fed."""
        self._parse(b"", last=True)
        if self._root != "ListBucketResult":
            raise MalformedListingError("it is no listing")
        if self._about.get("IsTruncated") == "true":
            self.token = self._about.get("NextContinuationToken", "")
            if not self.token:
                raise MalformedListingError("it breaks off without saying where to go on")
        encoded = self._about.get("EncodingType") == "url"
        page: list[Listed] = []
        for fields in self._objects:
            key = _decoded(fields.get("Key", "")) if encoded else fields.get("Key", "")
            if key is None:
                self.unreadable += 1
                continue
            # Code points sort as their UTF-8 bytes do.
            if key <= self.last_key:
                raise MalformedListingError("it is not in key order")
            if not key.startswith(self._prefix):
                raise MalformedListingError("it shows keys that were not asked for")
            self.last_key = key
            page.append(_listed(key, fields))
        return page

    def _parse(self, data: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(data, last)
        # An encoding that Python does not know is a LookupError from 3.13 on.
        except (expat.ExpatError, LookupError) as error:
            raise MalformedListingError("it is cut off or no XML") from error

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._text.clear()
        if name == "Contents":
            if len(self._objects) == PAGE_KEYS:
                raise MalformedListingError("a page of it has too many keys")
            self._fields = {}
            self._objects.append(self._fields)
        elif not self._root:
            self._root = name

    def _end(self, name: str) -> None:
        if name == "Contents":
            self._fields = self._about
        else:
            self._fields[name] = "".join(self._text)
        self._text.clear()

    @staticmethod
    def _refuse_doctype(*_: object) -> None:
        raise MalformedListingError("it declares a document type")


def _decoded(key: str) -> str | None:
    """Undo encoding-type=url, which writes a space as `+` and a plus as `%2B`."""
    if "+" in key:
        key = key.replace("+", " ")
    if "%" not in key:
        return key
    try:
        return unquote_to_bytes(key).decode()
    except UnicodeDecodeError:
        return None


def _listed(key: str, fields: dict[str, str]) -> Listed:
    size = fields.get("Size", "")
    if not (size.isascii() and size.isdigit() and len(size) < 16):
        raise MalformedListingError("a size in it is no number")
    return Listed(
        key,
        fields.get("ETag", "").strip('"'),
        int(size),
        fields.get("LastModified", ""),
        fields.get("StorageClass", "STANDARD"),
        "RestoreExpiryDate" in fields and fields.get("IsRestoreInProgress") == "false",
    )
