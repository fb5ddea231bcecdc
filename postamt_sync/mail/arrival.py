"""An arrival: an object in the bucket that was announced or found, with its envelope if known.

The sources overlap: an SES receipt has the envelope but neither ETag nor time, an S3 event has the
ETag and the size, a listing has ETag, size and time. So an object is identified by (bucket, key)
alone, and each source fills in what it knows.

The envelope is who sent a mail and to whom, as given in SMTP (RFC 5321), with SES's verdicts. The
header fields From, To and Cc are not the envelope: a Bcc recipient appears in the envelope only.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field


class Evidence(enum.StrEnum):
    """What decided who gets a mail, best first."""

    RECEIPT = "receipt"
    """`receipt.recipients` of an SES receipt: the envelope itself."""
    RECEIVED = "received"
    """The `for` of SES's own topmost Received, which names one true recipient."""
    HEADERS = "headers"
    """Our own addresses in To and Cc, used only when there is no envelope to be had."""
    DEFAULT = "default"
    """Nothing named one of our mailboxes, so the default mailbox gets it."""
    SENT = "sent"
    """Not incoming mail: its key names the mailbox that sent it from the webmail."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """SES's verdicts: PASS, FAIL, GRAY or PROCESSING_FAILED; None where SES gave none.

    `dmarc_policy` (none, quarantine, reject) is only present with a DMARC FAIL.
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

    `sender` is None for the null reverse-path (bounces) and where it is not known. `recipients` are
    those that the receipt rule matched, spelled as SES spelled them.
    """

    recipients: tuple[str, ...]
    sender: str | None = None
    verdicts: Verdicts = field(default_factory=Verdicts)


MAIL_ID_LENGTH = 24
"""Hex digits of a mail id: 96 bits, so that two keys of a bucket never share one by chance."""

ETAG_HASH_LENGTH = 16
"""Hex digits of the hash of an ETag."""

LONGEST_KEY = 1024
"""Bytes of the longest key, in UTF-8 (S3 User Guide, "Naming Amazon S3 objects")."""

SETUP_NOTIFICATION = "AMAZON_SES_SETUP_NOTIFICATION"
"""Base name of the object that SES writes to test a new receipt rule; it is not a mail."""


ARCHIVE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes that have to be restored before they can be read. Glacier Instant Retrieval
(GLACIER_IR) does not."""


class Source(enum.StrEnum):
    """How we heard of an object. The values are stored in the ledger and shown in `--json`."""

    WEBHOOK = "webhook"
    QUEUE = "queue"
    DEAD_LETTER = "dead-letter"
    POLL = "poll"
    RECONCILE = "reconcile"
    SYNC = "sync"
    SENT = "sent"
    """The poll's listing of what was sent from the webmail."""
    RETRY = "retry"
    INDEX = "index"
    """Supplies envelopes only: no mail is ever found through it."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One object, as one source describes it. None means that the source does not know.

    `etag` has no quotes, `last_modified` is in seconds since 1970, `size` in bytes. `key` is any
    text that S3 allows, and is never used as a path. `restored`: a copy from the archive can be
    read for now. `asked`: the index was asked late enough that waiting for an envelope is no use.
    `sealed`: only the sealed object is left; ETag, time and size are those of the plain one.
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
    """Tell whether an object of this storage class must be restored before it can be read."""
    return storage_class in ARCHIVE_CLASSES and not restored


def mail_id(bucket: str, key: str) -> str:
    """Return the hash of (bucket, key). It is frozen: file names ten years old must still match."""
    # `surrogatepass`: a command line can hold keys that no listing and no notification can.
    name = f"{bucket}\0{key}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(name).hexdigest()[:MAIL_ID_LENGTH]


def etag_hash(etag: str) -> str:
    """Return the hash of an ETag (without quotes) as it stands in file names. It is frozen too."""
    return hashlib.sha256(etag.encode()).hexdigest()[:ETAG_HASH_LENGTH]


def is_key(text: str) -> bool:
    """Tell whether S3 allows `text` as a key: 1 to 1,024 bytes of valid UTF-8.

    To be called before an Arrival is made from untrusted text.
    """
    try:
        return 1 <= len(text.encode()) <= LONGEST_KEY
    except UnicodeEncodeError:
        return False


def is_no_mail(key: str, size: int | None) -> bool:
    """Tell whether an object is SES's setup notification or a folder marker, and so not a mail.

    A folder marker is empty, and its key ends in `/`; while its size is unknown it counts as mail.
    """
    return key.rsplit("/", 1)[-1] == SETUP_NOTIFICATION or (key.endswith("/") and size == 0)
