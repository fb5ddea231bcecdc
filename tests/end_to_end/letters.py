"""Mails as S3 holds them: what SES writes, then the sender's own bytes."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from postamt_sync.demo.samples import Sample, samples
from postamt_sync.demo.ses import ses_header
from postamt_sync.mail.sent_mail import sent_key
from tests.doubles.s3 import S3Double
from tests.end_to_end.home import ANNA, BRUNO

RECEIVED_AT = dt.datetime(2026, 11, 2, 10, 11, 12, tzinfo=dt.UTC)
NAMES = {ANNA: "anna", BRUNO: "bruno"}


@dataclass(frozen=True)
class Letter:
    """A stored object; `places` are the mailboxes and folders that get it."""

    key: str
    body: bytes
    places: tuple[str, ...]

    def expected(self) -> list[tuple[str, bytes]]:
        return [(place, self.body) for place in self.places]


def letter(name: str, to: str = ANNA, text: str = "Tea on Thursday?") -> Letter:
    """One short mail to one person, by SES's own Received header."""
    message = f"From: clara@sender.example\r\nTo: {to}\r\nSubject: {name}\r\n\r\n{text}\r\n"
    return _stored(name, message.encode(), to)


def letter_to_both(name: str) -> Letter:
    """One mail for two mailboxes: without SES's header, To decides."""
    body = f"From: c@sender.example\r\nTo: {ANNA}, {BRUNO}\r\nSubject: {name}\r\n\r\nTea?\r\n"
    return Letter(f"incoming/{name}", body.encode(), ("anna", "bruno"))


def sent_letter(name: str, text: str = "Thursday.") -> Letter:
    """What Bruno sent to Anna in the webmail, which only he gets here."""
    message = f"From: {BRUNO}\r\nTo: {ANNA}\r\nSubject: {name}\r\n\r\n{text}\r\n"
    key = sent_key("bruno", "2026-11", f"{name:-<20}")
    return Letter(key, message.encode(), ("bruno/Sent",))


def sample_letters() -> Iterator[tuple[Sample, Letter]]:
    """The demo's samples, each with its stored form; for one person each, as `for` can name."""
    for sample in samples():
        name = hashlib.sha256(sample.message).hexdigest()[:40]
        yield sample, _stored(name, sample.message, sample.recipients[0], spam=sample.spam)


def put(s3: S3Double, *letters: Letter) -> None:
    for one in letters:
        s3.put(one.key, one.body)


def _stored(name: str, message: bytes, to: str, spam: str = "PASS") -> Letter:
    block = ses_header(name, "clara@sender.example", to, RECEIVED_AT, spam=spam, virus="PASS")
    place = f"{NAMES[to]}/Junk" if spam == "FAIL" else NAMES[to]
    return Letter(f"incoming/{name}", block + message, (place,))
