"""What S3's refusals mean (S3 API Reference, "Error responses").

Only what S3 itself says by its error code is believed to be final: a bare 404 may come from a
proxy or a hotel's login page, and a mail must not count as gone because of it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from xml.parsers import expat

from postamt_sync.aws.error_codes import ErrorCause, cause_of_code
from postamt_sync.aws.errors import ForbiddenError, meaning
from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError
from postamt_sync.events import printable
from postamt_sync.log_line import without_markup

LONGEST_WORD = 100
"""Characters of a foreign word (error code, region, storage class) that a sentence shows."""

_REGION = re.compile(r"[a-z]{2,5}(?:-[a-z]+){1,3}-[0-9]{1,2}")
_REGION_IN_WORDS = (
    re.compile(rf"expecting '({_REGION.pattern})'"),
    re.compile(rf"The ({_REGION.pattern}) location constraint is incompatible"),
)
_REGION_IN_HOST = re.compile(rf"\bs3[.-](?:dualstack\.)?({_REGION.pattern})\.")


class ObjectGoneError(PostamtError):
    """No object has this key (404 NoSuchKey), or none can have it."""

    temporary = False

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The object {printable(key)} is not in the bucket.",
            "If it should be, look for a deleted version of it.",
        )


class ObjectChangedError(PostamtError):
    """The object is there, but not with the ETag that was asked for (412): look again."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The object {printable(key)} has changed since it was announced.",
            "Nothing needs to be done: it is looked up again.",
        )


class ObjectArchivedError(PostamtError):
    """The object lies in an archive and must be restored before it can be read."""

    def __init__(self, key: str, storage_class: str) -> None:
        super().__init__(
            f"The object {printable(key)} is archived ({printable(storage_class, LONGEST_WORD)}).",
            "Restore it in S3 to have it delivered; it is tried again once a day.",
        )
        self.storage_class = storage_class


class AccessDeniedError(ForbiddenError):
    """We may not list the bucket (`key` is None) or not read this one object.

    For one object it may also mean that it is gone: without s3:ListBucket S3 does not say 404.
    `said` is S3's own reason, fit to be shown.
    """

    def __init__(self, bucket: str, key: str | None, said: str = "") -> None:
        says = f"; AWS says: {said}" if said else "."
        if key is None:
            super().__init__(
                f"We may not list the bucket {printable(bucket)}.",
                f"Allow s3:ListBucket for our user, with the prefixes of the configuration{says}",
            )
        else:
            super().__init__(
                f"We may not read {printable(key)} in the bucket {printable(bucket)}.",
                "Allow s3:GetObject (and kms:Decrypt where the bucket is under KMS) for our "
                f"user{says}",
            )
        self.key = key


class Answer:
    """A refusal: its status and headers, and the leaves of its Error document, by name."""

    def __init__(
        self, status: int, headers: Mapping[str, str], document: Mapping[str, str]
    ) -> None:
        self.status = status
        self._headers = headers
        self._fields = document

    @property
    def code(self) -> str:
        """S3's error code, or "" where the body is none of S3's."""
        return printable(without_markup(self._fields.get("Code", "")), LONGEST_WORD)

    @property
    def said(self) -> str:
        """S3's own words, or "" where it has none."""
        return printable(without_markup(self._fields.get("Message", ""))).rstrip(".")

    @property
    def cause(self) -> ErrorCause:
        """What the code, or without one the status, comes down to."""
        return cause_of_code(self._fields.get("Code", ""), self.status)

    @property
    def passing(self) -> bool:
        """Whether asking again at once may help."""
        if self.cause is ErrorCause.UNSUPPORTED:
            return False
        if self.status >= 500 or self.status == 429:
            return True
        return self.cause in {ErrorCause.BUSY, ErrorCause.THROTTLED}

    def error(self, bucket: str, key: str | None) -> PostamtError:
        """Say what the refusal means for a GET of `key`, or for a listing where it is None."""
        return (
            (self._of_object(key) if key is not None else None)
            or self._of_bucket(bucket, key)
            or self._as_everywhere(bucket, key)
        )

    def _of_object(self, key: str) -> PostamtError | None:
        if self.code in {"NoSuchKey", "KeyTooLongError"}:
            return ObjectGoneError(key)
        if self.status == 412:
            return ObjectChangedError(key)
        if self.code == "InvalidObjectState":
            return ObjectArchivedError(key, self._fields.get("StorageClass", "GLACIER"))
        return None

    def _of_bucket(self, bucket: str, key: str | None) -> PostamtError | None:
        """Return what S3 tells more of than other services do."""
        if self.cause is ErrorCause.FORBIDDEN:
            return AccessDeniedError(bucket, key, self.said)
        if self.cause is ErrorCause.CLOCK:
            return self._clock_off()
        if self.cause is ErrorCause.WRONG_REGION:
            return self._of_region(bucket)
        return None

    def _as_everywhere(self, bucket: str, key: str | None) -> PostamtError:
        what = f"list the bucket {printable(bucket)}" if key is None else f"read {printable(key)}"
        cause = ErrorCause.BUSY if self.passing else self.cause
        said = f"{self.status} {self.code}".rstrip()
        code = (
            said
            if cause in {ErrorCause.BUSY, ErrorCause.NOT_AWS, ErrorCause.UNKNOWN}
            else self.code
        )
        return meaning(cause, what, code=code, said=self._fields.get("Message", ""), name=bucket)

    def _of_region(self, bucket: str) -> PostamtError | None:
        """Return where the bucket is, as far as S3 says it; None where it does not say at all."""
        region = self._region()
        if not region:
            return None
        return MisconfiguredError(
            f"The bucket {printable(bucket)} is not in our region but in {region}.",
            f'Set region = "{region}" in the section [aws] of the configuration.',
        )

    def _region(self) -> str:
        """Return the region that S3 names for the bucket, "" where it names none that can be."""
        named = self._headers.get("x-amz-bucket-region") or self._fields.get("Region", "")
        if _REGION.fullmatch(named):
            return named
        message = self._fields.get("Message", "")
        found = next(filter(None, (words.search(message) for words in _REGION_IN_WORDS)), None)
        found = found or _REGION_IN_HOST.search(self._fields.get("Endpoint", ""))
        return found[1] if found else ""

    def _clock_off(self) -> TryLaterError:
        hint = "Set it, for example: timedatectl set-ntp true"
        try:
            theirs = parsedate_to_datetime(self._headers.get("Date", "")).timestamp()
        except (ValueError, OverflowError):
            return TryLaterError("Our clock is too far off for AWS.", hint)
        ahead = time.time() - theirs
        hours = abs(ahead) / 3600
        span = f"{hours:.0f} hours" if hours >= 1.5 else f"{hours * 60:.0f} minutes"
        direction = "fast" if ahead > 0 else "slow"
        return TryLaterError(f"Our clock is about {span} {direction}.", hint)


def error_document(body: bytes) -> dict[str, str]:
    """Read the leaves of a small XML document by name; {} where it is none."""
    fields: dict[str, str] = {}
    text: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda *_: text.clear()
    parser.CharacterDataHandler = text.append
    parser.EndElementHandler = lambda name: fields.setdefault(name, "".join(text))
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError, ValueError):
        return {}
    return fields


def _refuse_doctype(*_: object) -> None:
    raise ValueError("a document type has no place in S3's answers")
