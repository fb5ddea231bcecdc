"""What S3's refusals mean (S3 API Reference, "Error responses").

Only what S3 itself says by its error code is believed to be final: a bare 404 may come from a
proxy or a hotel's login page, and a mail must not count as gone because of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from xml.parsers import expat

from postamt_sync.errors import (
    CredentialsError,
    MisconfiguredError,
    PostamtError,
    TryLaterError,
)
from postamt_sync.events import printable

LONGEST_WORD = 100
"""Characters of a foreign word (error code, region, storage class) that a sentence shows."""


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


class AccessDeniedError(CredentialsError):
    """We may not list the bucket (`key` is None) or not read this one object.

    For one object it may also mean that it is gone: without s3:ListBucket S3 does not say 404.
    """

    def __init__(self, bucket: str, key: str | None) -> None:
        if key is None:
            super().__init__(
                f"We may not list the bucket {printable(bucket)}.",
                "Allow s3:ListBucket for our user, with the prefixes of the configuration.",
            )
        else:
            super().__init__(
                f"We may not read {printable(key)} in the bucket {printable(bucket)}.",
                "Allow s3:GetObject (and kms:Decrypt where the bucket is under KMS) for our user.",
            )
        self.key = key


_FOR_A_PERSON = {
    "InvalidAccessKeyId": (
        "AWS does not know our access key.",
        "Put a valid one into ~/.aws/credentials of the user we run as, and restart.",
    ),
    "SignatureDoesNotMatch": (
        "AWS does not accept our signature: the secret key does not fit the access key.",
        "Put the pair into ~/.aws/credentials again as AWS showed it, and restart.",
    ),
    "ExpiredToken": (
        "Our temporary AWS credentials have expired.",
        "Get new ones (for example: aws sso login), or use those of the sync user.",
    ),
    "InvalidToken": (
        "AWS does not accept our session token.",
        "Get new temporary credentials, or remove AWS_SESSION_TOKEN if the keys are permanent.",
    ),
}
_FOR_A_PERSON["TokenRefreshRequired"] = _FOR_A_PERSON["ExpiredToken"]
for _code in ("AccountProblem", "AllAccessDisabled", "NotSignedUp"):
    _FOR_A_PERSON[_code] = (
        f"AWS refuses the account as a whole ({_code}).",
        "Look for AWS's mail about the account, and into its billing page.",
    )

_BUSY = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable"})


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
        return printable(self._fields.get("Code", ""), LONGEST_WORD)

    @property
    def passing(self) -> bool:
        """Whether asking again at once may help."""
        return self.status >= 500 or self.status == 429 or self.code in _BUSY

    def error(self, bucket: str, key: str | None) -> PostamtError:
        """Say what the refusal means for a GET of `key`, or for a listing where it is None."""
        return (
            (self._of_object(key) if key is not None else None)
            or self._of_access(bucket, key)
            or self._of_region(bucket)
            or self._passing()
        )

    def _of_object(self, key: str) -> PostamtError | None:
        if self.code in {"NoSuchKey", "KeyTooLongError"}:
            return ObjectGoneError(key)
        if self.status == 412:
            return ObjectChangedError(key)
        if self.code == "InvalidObjectState":
            return ObjectArchivedError(key, self._fields.get("StorageClass", "GLACIER"))
        return None

    def _of_access(self, bucket: str, key: str | None) -> PostamtError | None:
        if self.code == "AccessDenied":
            return AccessDeniedError(bucket, key)
        if self.code in {"NoSuchBucket", "InvalidBucketName"}:
            return MisconfiguredError(
                f"There is no bucket {printable(bucket)}.",
                "Correct bucket.name in the configuration, or make it: postamt-sync bootstrap",
            )
        if self.code == "RequestTimeTooSkewed":
            return self._clock_off()
        if self.code.startswith("KMS."):
            return MisconfiguredError(
                f"The KMS key of the bucket {printable(bucket)} cannot be used ({self.code}).",
                "Enable the key, and allow kms:Decrypt for our user.",
            )
        if self.code in _FOR_A_PERSON:
            return CredentialsError(*_FOR_A_PERSON[self.code])
        return None

    def _of_region(self, bucket: str) -> PostamtError | None:
        region = self._headers.get("x-amz-bucket-region") or self._fields.get("Region", "")
        if not region or self.code not in {"PermanentRedirect", "AuthorizationHeaderMalformed"}:
            return None
        region = printable(region, LONGEST_WORD)
        return MisconfiguredError(
            f"The bucket {printable(bucket)} is not in our region but in {region}.",
            f'Set region = "{region}" in the section [aws] of the configuration.',
        )

    def _passing(self) -> TryLaterError:
        said = f"{self.status} {self.code}".rstrip()
        if self.passing:
            return TryLaterError(f"S3 is busy (it said {said}).", "Nothing to do: we try again.")
        if self.code:
            return TryLaterError(
                f"S3 refused with {said}, which we do not know.",
                "Look the code up among S3's error codes; we try again.",
            )
        return TryLaterError(
            f"Something that is not S3 answered with {said}.",
            "Look whether a proxy or login page stands between us and S3; we try again.",
        )

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
