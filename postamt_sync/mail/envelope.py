"""The envelope: who sent a mail and who it is for, as SMTP said it (RFC 5321), with SES's verdicts.

The header fields From, To and Cc are not the envelope: a Bcc stands only here.
"""

from __future__ import annotations

import enum
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
