"""The keys of mail that was sent from the webmail: `sent/<mailbox>/<month>/<draft id>`.

The key alone says whose mail it is: that of the mailbox that sent it. The mailbox is looked up
among the configured ones and never becomes a path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

SENT_PREFIX = "sent/"
OUTBOX_PREFIX = "outbox/"
"""Where a mail lies until it is sent; the box at home ignores it."""

FLAGS = "S"
"""The Maildir flags of a sent mail: its owner has seen it."""

DRAFT_ID = re.compile(r"[a-z0-9-]{20,64}", re.ASCII)

_KEY = re.compile(
    rf"{SENT_PREFIX}(?P<mailbox>[^/]{{1,200}})/(?P<month>\d{{4}}-(?:0[1-9]|1[0-2]))/"
    rf"(?P<draft>{DRAFT_ID.pattern})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class SentMail:
    """What a key says. `month` looks like 2026-11, and is UTC by the clock of the sending side."""

    mailbox: str
    month: str
    draft: str


def sent_key(mailbox: str, month: str, draft: str) -> str:
    """Return the key of a sent mail. The mailbox is percent-encoded in it."""
    return f"{SENT_PREFIX}{quote(mailbox, safe='')}/{month}/{draft}"


def read_sent_key(key: str) -> SentMail | None:
    """Parse a key that is exactly as `sent_key` writes it; None for any other object there."""
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
    """Tell whether a key belongs to sent mail. `prefix` is where SES stores incoming mail.

    If that prefix overlaps with the place of sent mail, all of it counts as incoming.
    """
    overlaps = prefix.startswith(SENT_PREFIX) or SENT_PREFIX.startswith(prefix)
    return key.startswith(SENT_PREFIX) and not overlaps


def month_before(month: str) -> str:
    """Return the previous month, in the same form (2026-11)."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year - 1:04}-12" if number == 1 else f"{year:04}-{number - 1:02}"
