"""Mail that was sent in the webmail, by its key: `sent/<mailbox>/<month>/<draft id>`.

The key is the only word on whose mail it is: the mailbox that sent it, and nobody else. It is
looked up among the mailboxes that are configured, and never becomes a path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

SENT_PREFIX = "sent/"
OUTBOX_PREFIX = "outbox/"
"""Where a mail lies before it is sent; of no interest at home."""

FLAGS = "S"
"""What a sent mail bears in its Maildir: its owner has seen it."""

DRAFT_ID = re.compile(r"[a-z0-9-]{20,64}", re.ASCII)

_KEY = re.compile(
    rf"{SENT_PREFIX}(?P<mailbox>[^/]{{1,200}})/(?P<month>\d{{4}}-(?:0[1-9]|1[0-2]))/"
    rf"(?P<draft>{DRAFT_ID.pattern})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class SentMail:
    """What a key says; `month` as 2026-11, by the clock in UTC of whoever sent it."""

    mailbox: str
    month: str
    draft: str


def sent_key(mailbox: str, month: str, draft: str) -> str:
    """Return where a sent mail is kept."""
    return f"{SENT_PREFIX}{quote(mailbox, safe='')}/{month}/{draft}"


def read_sent_key(key: str) -> SentMail | None:
    """Read a key that is exactly as `sent_key` writes it; None for whatever else lies there."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    mailbox = unquote(match["mailbox"], errors="replace")
    read = SentMail(mailbox, match["month"], match["draft"])
    try:
        same = sent_key(read.mailbox, read.month, read.draft) == key
    except UnicodeEncodeError:
        return None
    return read if same else None


def is_sent(key: str, prefix: str) -> bool:
    """Tell whether a key is where sent mail lies; `prefix` is where SES puts what comes.

    A prefix that reaches into that place takes it: then nothing can be told apart.
    """
    overlaps = prefix.startswith(SENT_PREFIX) or SENT_PREFIX.startswith(prefix)
    return key.startswith(SENT_PREFIX) and not overlaps


def month_before(month: str) -> str:
    """Return the month before one, both as 2026-11."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year - 1:04}-12" if number == 1 else f"{year:04}-{number - 1:02}"
