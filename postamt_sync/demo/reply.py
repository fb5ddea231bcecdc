"""The way back, with no person involved: a mail is answered in the webmail, and the answer
comes home.

Each station is checked itself; what the station before claims is not trusted.
"""

from __future__ import annotations

import asyncio
import email
import imaplib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from postamt_sync.demo.dovecot import PrivateDovecot
from postamt_sync.demo.samples import ANNA
from postamt_sync.demo.system import DemoSystem, MailReader, Sent
from postamt_sync.demo.webmail import Browser, DemoWebmail
from postamt_sync.mail.sent_mail import read_sent_key

MAILBOX = "anna"
FOLDER = ".Sent"
TEXT = "Dear Clara,\n\nThursday it is. I bring the scones.\n\nAnna\n"


@dataclass(frozen=True, slots=True)
class ReplyStation:
    """A place where the answer was looked for; `found` tells whether it was there."""

    name: str
    found: bool
    detail: str


class Reply:
    """Anna's answer to a mail that came for her."""

    def __init__(self, system: DemoSystem, webmail: DemoWebmail, answered: Sent) -> None:
        self._system = system
        self._webmail = webmail
        self._answered = answered
        head = email.message_from_bytes(answered.sample.message)
        self._subject, self._original = str(head["Subject"]), str(head["Message-ID"])
        self._kept = b""

    async def travel(self) -> AsyncIterator[ReplyStation]:
        """Send it and yield each station on its way; stop after the first that is not found."""
        stations = (
            ("webmail reads", self._read_and_sent),
            ("SES takes", self._taken_by_ses),
            ("bucket keeps", self._kept_in_bucket),
            ("webmail lists", self._listed),
            ("home has", self._at_home),
            ("IMAP shows", self._over_imap),
        )
        for name, look in stations:
            try:
                found, detail = await look()
            except (aiohttp.ClientError, imaplib.IMAP4.error, OSError, LookupError) as error:
                found, detail = False, f"{type(error).__name__}: {error}"
            yield ReplyStation(name, found, detail)
            if not found:
                return

    async def _read_and_sent(self) -> tuple[bool, str]:
        async with self._webmail.signed_in(MAILBOX) as browser:
            shown = await browser.get(f"/api/mails/{await self._address(browser)}")
            to = shown["from"][0]["address"]
            answer = {
                "draft": str(uuid.uuid4()),
                "from": ANNA,
                "name": "Anna",
                "to": to,
                "cc": "",
                "bcc": "",
                "subject": f"Re: {shown['subject']}",
                "text": TEXT,
                "answers": shown["id"],
            }
            state = str((await browser.post("/api/send", answer))["state"])
        return state == "sent", f"“{shown['subject']}”, answers {to}: {state}"

    async def _address(self, browser: Browser) -> str:
        mails = [mail async for mail in browser.mails("inbox")]
        return str(next(mail["id"] for mail in mails if mail["subject"] == self._subject))

    async def _taken_by_ses(self) -> tuple[bool, str]:
        taken = await self._system.cloud.sent_by_ses()
        ours = [mail for mail in taken if f"In-Reply-To: {self._original}" in mail.raw]
        if len(ours) != 1:
            return False, f"{len(ours)} such mails instead of one"
        to = ", ".join(ours[0].recipients)
        return set(ours[0].recipients) == {self._answered.sample.sender}, f"one mail, for {to}"

    async def _kept_in_bucket(self) -> tuple[bool, str]:
        found = await asyncio.to_thread(self._system.cloud.objects, "sent/")
        if len(found) != 1:
            return False, f"{len(found)} objects instead of one"
        ((key, self._kept),) = found.items()
        sent = read_sent_key(key)
        return sent is not None and sent.mailbox == MAILBOX, f"sent/{MAILBOX}/…"

    async def _listed(self) -> tuple[bool, str]:
        subjects = await self._webmail.subjects(MAILBOX, "sent")
        return subjects == [f"Re: {self._subject}"], f"{len(subjects)} mail in its Sent"

    async def _at_home(self) -> tuple[bool, str]:
        folder = self._system.household.maildirs[MAILBOX] / FOLDER

        def files() -> list[Path]:
            return [path for part in ("new", "cur") for path in folder.glob(f"{part}/*")]

        await self._system.until(lambda: bool(files()))
        found = files()
        if len(found) != 1 or found[0].read_bytes() != self._kept:
            return False, f"{len(found)} files in {MAILBOX}/Sent"
        seen = found[0].parent.name == "cur" and found[0].name.endswith(":2,S")
        return seen, f"{MAILBOX}/Sent, as read, byte for byte"

    async def _over_imap(self) -> tuple[bool, str]:
        imap = self._system.imap
        if imap is None:
            return True, f"not looked at: IMAP {self._system.imap_trouble}"
        marks = await asyncio.to_thread(self._read_marks, imap)
        return marks == [True], "seen" if marks == [True] else f"{len(marks)} mails in Sent"

    def _read_marks(self, imap: PrivateDovecot) -> list[bool]:
        with MailReader(imap, MAILBOX, self._system.password) as reader:
            return reader.read_marks("Sent")
