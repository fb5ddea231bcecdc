"""What the ledger knows of single mails, found by words, for `find`.

A word is looked for in the remembered header, in the envelope's addresses and in the key, anywhere
in them; it may also be a mail id, or a time that the mail's own must match.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from postamt_sync.ledger.remembered_headers import MailHeader, read_header
from postamt_sync.ledger.rows import Delivery, DeliveryState, ObjectState
from postamt_sync.ledger.search_text import folded
from postamt_sync.ledger.store import Store

_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{1,2})(?::(\d{2}))?(?::\d{2})?)?", re.ASCII)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:?\d{2})", re.ASCII)
"""A time with a time zone, as printed by --json."""
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::[0-5]\d)?", re.ASCII)
_MAIL_ID = re.compile(r"K?([0-9a-f]{24})", re.ASCII)

_STORED = "coalesce(last_modified, first_seen)"
"""When S3 stored a mail, as far as is known."""
_TEXT = (
    "CASE folded WHEN '' THEN lower(subject || char(10) || sender || char(10) || recipients"
    " || char(10) || message_id) ELSE folded END"
)


@dataclass(frozen=True, slots=True)
class Word:
    """One thing that a mail must have: a text anywhere in it, or a time at which it came.

    `span` is from (inclusive) and to (exclusive) in seconds since 1970, `clock` a time of any day,
    as HH:MM. `text` is folded (`search_text.folded`).
    """

    typed: str
    text: str
    span: tuple[float, float] | None = None
    clock: str = ""

    @property
    def is_text(self) -> bool:
        """Whether it can only mean a text."""
        return self.span is None and not self.clock

    def fits(self, text: str, stored_at: float) -> bool:
        """Tell whether a mail with this folded text, stored at this time, has it."""
        if self.text and self.text in text:
            return True
        if self.span is not None:
            return self.span[0] <= stored_at < self.span[1]
        return bool(self.clock) and _clock_at(stored_at) == self.clock


def _clock_at(moment: float) -> str:
    """Return the local time as HH:MM, "" for a time outside of any calendar."""
    try:
        return f"{datetime.fromtimestamp(moment).astimezone():%H:%M}"
    except (ValueError, OverflowError, OSError):
        return ""


def read_word(typed: str) -> Word:
    """Return what a person means by one word, or by several words in quotes."""
    text = folded(typed)
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]  # a Message-ID, or an address
    if match := _CLOCK.fullmatch(text):
        return Word(typed, text, clock=f"{int(match[1]):02}:{match[2]}")
    return Word(typed, text, _span(text))


def _span(text: str) -> tuple[float, float] | None:
    today = datetime.now().astimezone().date()
    known = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        if text in known:
            return _local(known[text]), _local(known[text] + timedelta(days=1))
        if match := _MONTH.fullmatch(text):
            first = date(int(match[1]), int(match[2]), 1)
            return _local(first), _local((first + timedelta(days=31)).replace(day=1))
        if match := _DAY.fullmatch(text.upper()):
            day = date(int(match[1]), int(match[2]), int(match[3]))
            if match[4] is None:
                return _local(day), _local(day + timedelta(days=1))
            start = _local(day, int(match[4]), int(match[5] or 0))
            return start, start + (60 if match[5] else 3600)
        if _ISO.fullmatch(text.upper()):
            start = datetime.fromisoformat(text.upper()).timestamp() // 60 * 60
            return start, start + 60
    except (ValueError, OverflowError):
        pass
    return None


def _local(day: date, hour: int = 0, minute: int = 0) -> float:
    return datetime.combine(day, time(hour, minute)).astimezone().timestamp()


@dataclass(frozen=True, slots=True)
class Copy:
    """One mailbox's copy as the ledger has it. `delivered_at` is in seconds since 1970."""

    delivery: Delivery
    delivered_at: float | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Track:
    """The way of one mail, as far as the ledger knows it. Times are in seconds since 1970.

    Only `next_attempt` is not: it is on the monotonic clock of this boot.
    """

    mail: str
    bucket: str
    key: str
    state: ObjectState
    source: str
    etag: str | None
    size: int | None
    last_modified: float | None
    first_seen: float
    storage_class: str | None
    evidence: str | None
    verdicts: dict[str, str]
    recipients: tuple[str, ...]
    attempts: int
    next_attempt: float
    awaits_envelope: bool
    problem: str | None
    settled_at: float | None
    header: MailHeader | None = None
    copies: tuple[Copy, ...] = field(default=())

    @property
    def stored_at(self) -> float:
        """When S3 stored the mail or, if that is not known, when we first heard of it."""
        return self.first_seen if self.last_modified is None else self.last_modified


class Tracks:
    """Reads only."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def search(
        self, words: Sequence[Word], since: float | None = None, limit: int = 100
    ) -> list[Track]:
        """Return up to `limit` mails that have all of these words, the newest first.

        `since` is in seconds since 1970. Without words all mails are meant.
        """
        values: list[Any] = []
        parts = [f"SELECT mail FROM ({_one_word(word, values)})" for word in words]  # noqa: S608
        found = " INTERSECT ".join(parts) or "SELECT mail FROM objects"
        with self._store.reading() as db:
            rows = db.execute(
                f"SELECT * FROM objects WHERE mail IN ({found}) AND state != 'skipped'"  # noqa: S608
                f" AND {_STORED} >= ? ORDER BY {_STORED} DESC LIMIT ?",
                (*values, float("-inf") if since is None else since, limit),
            ).fetchall()
            return [_track(db, row) for row in rows]

    def count(self) -> int:
        """Return how many mails the ledger knows."""
        with self._store.reading() as db:
            (number,) = db.execute(
                "SELECT count(*) FROM objects WHERE state != 'skipped'"
            ).fetchone()
        return int(number)

    def known(self, mails: Iterable[str]) -> set[str]:
        """Return those of these mail ids that the ledger knows."""
        with self._store.reading() as db:
            query = "SELECT 1 FROM objects WHERE mail = ?"
            return {mail for mail in mails if db.execute(query, (mail,)).fetchone()}

    def of(self, mails: Collection[str]) -> dict[str, Track]:
        """Return what is known of these mails, by mail id."""
        with self._store.reading() as db:
            rows = [
                db.execute("SELECT * FROM objects WHERE mail = ?", (mail,)).fetchone()
                for mail in mails
            ]
            return {row["mail"]: _track(db, row) for row in rows if row is not None}


def _one_word(word: Word, values: list[Any]) -> str:
    """Return a query for the mails that have this word, and append its values to `values`."""
    parts = []
    if word.text:
        parts += [
            f"SELECT mail FROM headers WHERE instr({_TEXT}, ?)",  # noqa: S608
            "SELECT mail FROM recipients WHERE instr(lower(address), ?)",
            "SELECT mail FROM objects WHERE instr(lower(key), ?)",
        ]
        values += [word.text] * 3
    if match := _MAIL_ID.fullmatch(word.typed.strip()):
        parts.append("SELECT mail FROM objects WHERE mail = ?")
        values.append(match[1])
    if word.span is not None:
        parts.append(f"SELECT mail FROM objects WHERE {_STORED} >= ? AND {_STORED} < ?")  # noqa: S608
        values += word.span
    if word.clock:
        parts.append(
            "SELECT mail FROM objects"  # noqa: S608
            f" WHERE strftime('%H:%M', {_STORED}, 'unixepoch', 'localtime') = ?"
        )
        values.append(word.clock)
    return " UNION ALL ".join(parts) or "SELECT mail FROM objects WHERE 0"


def _track(db: sqlite3.Connection, row: sqlite3.Row) -> Track:
    mail = row["mail"]
    header = db.execute("SELECT * FROM headers WHERE mail = ?", (mail,)).fetchone()
    recipients = db.execute(
        "SELECT address FROM recipients WHERE mail = ? ORDER BY address", (mail,)
    )
    copies = db.execute(
        "SELECT * FROM deliveries WHERE mail = ? ORDER BY mailbox, edition, stem", (mail,)
    ).fetchall()
    return Track(
        mail=mail,
        bucket=row["bucket"],
        key=row["key"],
        state=ObjectState(row["state"]),
        source=row["source"],
        etag=row["etag"],
        size=row["size"],
        last_modified=row["last_modified"],
        first_seen=row["first_seen"],
        storage_class=row["storage_class"],
        evidence=row["evidence"],
        verdicts=json.loads(row["verdicts"]) if row["verdicts"] else {},
        recipients=tuple(address for (address,) in recipients),
        attempts=row["attempts"],
        next_attempt=row["next_attempt"],
        awaits_envelope=row["envelope"] == "awaited",
        problem=row["problem"],
        settled_at=row["settled_at"],
        header=read_header(header) if header else None,
        copies=tuple(map(_copy, copies)),
    )


def _copy(row: sqlite3.Row) -> Copy:
    delivery = Delivery(
        row["mailbox"],
        row["stem"],
        DeliveryState(row["state"]),
        row["maildir"],
        row["folder"],
        row["name"],
        row["sha256"],
        row["prepared_at"],
        row["tmp_inode"],
        row["edition"],
    )
    return Copy(delivery, row["delivered_at"], row["problem"])
