"""The demo's sample mails: varied, generated, and the same bytes in every run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

ANNA = "anna@example.com"
BRUNO = "bruno@example.com"
WORLD = "clara@sender.example"
DATE = "Mon, 02 Nov 2026 10:11:12 +0000"

SEVERAL_MB = 3 * 1024 * 1024
BASE64_LINE = 57
"""Bytes that fill one line of base64."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A mail as it arrives over SMTP, with CRLF line ends, and its envelope."""

    title: str
    message: bytes
    recipients: tuple[str, ...]
    sender: str = WORLD
    spam: str = "PASS"


def samples() -> Iterator[Sample]:
    """Yield the mails of the tour, in order."""
    yield plain("A plain letter", "Tea on Thursday?")
    yield _attachment()
    yield _eight_bit()
    yield _blind_copy()
    yield _spam()
    yield _large()


def plain(title: str, subject: str) -> Sample:
    """Make a short text mail to Anna; its subject distinguishes it from others."""
    mail = _mail(subject, to=(ANNA,))
    mail.set_content("Dear Anna,\n\nthe kettle is on from four.\n\nClara\n")
    return _sample(title, mail, (ANNA,))


def _attachment() -> Sample:
    mail = _mail("The garden plan", to=(BRUNO,))
    mail.set_content("The plan is attached. Beans in the south bed.\n")
    page = "<html><body><p>The plan is attached. <b>Beans</b> in the south bed.</p></body></html>\n"
    mail.add_alternative(page, subtype="html")
    beds = "bed,plant\nsouth,beans\nnorth,fern\n"
    mail.add_attachment(beds.encode(), maintype="text", subtype="csv", filename="beds.csv")
    return _sample("HTML with an attachment", mail, (BRUNO,))


def _eight_bit() -> Sample:
    """Write raw UTF-8 in the header (RFC 6532) and an 8-bit body: both must survive."""
    text = (
        "From: Clara Weiß <clara@sender.example>\r\n"
        "To: Anna Müller <anna@example.com>\r\n"
        "Subject: Grüße aus Århus ☕\r\n"
        f"Date: {DATE}\r\n"
        "Message-ID: <eight-bit@sender.example>\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n"
        "\r\n"
        "Schöne Grüße, 你好, привет.\r\n"
    )
    return Sample("Raw 8-bit header and body", text.encode(), (ANNA,))


def _blind_copy() -> Sample:
    mail = _mail("A surprise for Anna", to=(ANNA,))
    mail.set_content("Bruno gets a blind copy of this; no header says so.\n")
    return _sample("To Anna, Bcc to Bruno", mail, (ANNA, BRUNO))


def _spam() -> Sample:
    mail = _mail("You have won a kettle", to=(BRUNO,))
    mail.set_content("Send ten kettles to receive one kettle.\n")
    return _sample("Spam, by SES's verdict", mail, (BRUNO,), spam="FAIL")


def _large() -> Sample:
    mail = _mail("The recording", to=(ANNA,))
    mail.set_content("All of it, three megabytes.\n")
    noise = random.Random(1871).randbytes(SEVERAL_MB // BASE64_LINE * BASE64_LINE)  # noqa: S311
    mail.add_attachment(noise, maintype="audio", subtype="flac", filename="kettle.flac")
    return _sample("Several megabytes", mail, (ANNA,))


def _mail(subject: str, to: tuple[str, ...]) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address("Clara White", addr_spec=WORLD)
    mail["To"] = [Address(addr_spec=address) for address in to]
    mail["Subject"] = subject
    mail["Date"] = DATE
    name = "-".join("".join(c if c.isalnum() else " " for c in subject.lower()).split())
    mail["Message-ID"] = f"<{name}@sender.example>"
    return mail


def _sample(
    title: str, mail: EmailMessage, recipients: tuple[str, ...], spam: str = "PASS"
) -> Sample:
    if mail.is_multipart():
        _fix_boundaries(mail)
    return Sample(title, mail.as_bytes(), recipients, spam=spam)


def _fix_boundaries(mail: EmailMessage) -> None:
    """Set the boundaries; the standard library would choose them at random."""
    number = 0
    for part in mail.walk():
        if part.is_multipart():
            part.set_boundary(f"=_part_{number}")
            number += 1
