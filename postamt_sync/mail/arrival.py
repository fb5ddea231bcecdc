"""An arrival: an object in the bucket that was announced or found, with its envelope if known.

Notifications overlap: a SES receipt knows the envelope but neither ETag nor time, a S3 event
knows the ETag, a listing knows ETag, size and time. Identity is therefore (bucket, key) alone, and
everything else is filled in by whoever knows it.

The envelope is who sent a mail and who it is for, as SMTP said it (RFC 5321), with SES's verdicts.
The header fields From, To and Cc are not the envelope: a Bcc stands only there.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field


class Evidence(enum.StrEnum):
    """What decided who gets a mail, best first."""

    RECEIPT = "receipt"
    """`receipt.recipients` of a SES receipt: the envelope itself."""
    RECEIVED = "received"
    """SES's own topmost Received names one true recipient in its `for`."""
    HEADERS = "headers"
    """Our own addresses in To and Cc; only when no envelope could be had."""
    DEFAULT = "default"
    """Nothing named a mailbox of ours."""
    SENT = "sent"
    """It did not come: its key names the mailbox that sent it in the webmail."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """SES's judgement: PASS, FAIL, GRAY or PROCESSING_FAILED; None where SES did not say.

    `dmarc_policy` (none, quarantine, reject) comes only with a DMARC FAIL.
    """

    spam: str | None = None
    virus: str | None = None
    spf: str | None = None
    dkim: str | None = None
    dmarc: str | None = None
    dmarc_policy: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """MAIL FROM and RCPT TO as far as one source knows them.

    `sender` is None for the null reverse path (bounces) and where unknown. `recipients` are those
    that the receipt rule matched, as SES wrote them.
    """

    recipients: tuple[str, ...]
    sender: str | None = None
    verdicts: Verdicts = field(default_factory=Verdicts)


MAIL_ID_LENGTH = 24
"""Hex digits of a mail id: 96 bits, so that two keys of one bucket never meet by chance."""

ETAG_HASH_LENGTH = 16
"""Hex digits."""

LONGEST_KEY = 1024
"""Bytes of a key in UTF-8 (S3 User Guide, "Naming Amazon S3 objects")."""

SETUP_NOTIFICATION = "AMAZON_SES_SETUP_NOTIFICATION"
"""Base name of the object that SES writes to try out a new rule; it is no mail."""


ARCHIVE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes that are never readable at once; Glacier Instant Retrieval (GLACIER_IR) is."""


class Source(enum.StrEnum):
    """How we heard of an object."""

    WEBHOOK = "webhook"
    QUEUE = "queue"
    DEAD_LETTER = "dead-letter"
    POLL = "poll"
    RECONCILE = "reconcile"
    SYNC = "sync"
    SENT = "sent"
    """The poll's look at what was sent in the webmail."""
    RETRY = "retry"
    INDEX = "index"
    """Tells of the envelope only: no mail is ever found through it."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One object, as one source describes it.

    `etag` is without quotes. `last_modified` is in seconds since 1970, `size` in bytes. None means
    that this source does not know. `key` is any text that S3 allows: it is never a path. `asked`:
    there is no envelope to wait for, since the index was asked for it late enough. `sealed`: of the
    object only the sealed one is left, which stands for it with all that it was.
    """

    bucket: str
    key: str
    source: Source
    etag: str | None = None
    size: int | None = None
    last_modified: float | None = None
    storage_class: str | None = None
    restored: bool = False
    envelope: Envelope | None = None
    asked: bool = False
    sealed: bool = False

    @property
    def archived(self) -> bool:
        """Whether S3 would refuse a GET until the object is restored, as far as is known."""
        return is_archived(self.storage_class, restored=self.restored)

    @property
    def mail_id(self) -> str:
        """The name of this mail in file names and log lines."""
        return mail_id(self.bucket, self.key)


def is_archived(storage_class: str | None, *, restored: bool) -> bool:
    """Tell whether an object of this class must be restored before it can be read."""
    return storage_class in ARCHIVE_CLASSES and not restored


def mail_id(bucket: str, key: str) -> str:
    """Return the frozen hash of (bucket, key): file names of ten years ago must still match it."""
    # `surrogatepass` is for keys that no listing or notice can bring but a command line can.
    name = f"{bucket}\0{key}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(name).hexdigest()[:MAIL_ID_LENGTH]


def etag_hash(etag: str) -> str:
    """Return the frozen hash of an ETag without quotes, as file names bear it."""
    return hashlib.sha256(etag.encode()).hexdigest()[:ETAG_HASH_LENGTH]


def is_key(text: str) -> bool:
    """Tell whether S3 allows `text` as a key: 1 to 1,024 bytes of valid UTF-8.

    Whoever makes an Arrival from foreign text asks this first.
    """
    try:
        return 1 <= len(text.encode()) <= LONGEST_KEY
    except UnicodeEncodeError:
        return False


def is_no_mail(key: str, size: int | None) -> bool:
    """Tell SES's setup notification and folder markers (empty, key ends in `/`) from mail.

    A marker of unknown size counts as mail until its size is known.
    """
    return key.rsplit("/", 1)[-1] == SETUP_NOTIFICATION or (key.endswith("/") and size == 0)
