"""The whole system running: cloud, daemon, household, and Dovecot if it is installed."""

from __future__ import annotations

import asyncio
import enum
import imaplib
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from postamt_sync.demo.cloud import Cloud
from postamt_sync.demo.daemon import COMMAND, DaemonProcess, Journey, Journeys
from postamt_sync.demo.dovecot import PrivateDovecot, find_dovecot
from postamt_sync.demo.emulator import Emulator
from postamt_sync.demo.held_port import hold_port
from postamt_sync.demo.household import JUNK, CopyLocation, Household
from postamt_sync.demo.samples import Sample
from postamt_sync.demo.ses import Received, Ses
from postamt_sync.demo.webmail import DemoWebmail
from postamt_sync.errors import PostamtError
from postamt_sync.mail.arrival import mail_id

ARRIVE_WITHIN = 60.0
"""Seconds that a mail may take, even on a slow machine."""

SAID_WITHIN = 5.0
"""Seconds from a file in its Maildir to the daemon's log line about it."""

LOOK_AGAIN = 0.01
"""Seconds between two looks."""

SNS_SPEED = 10.0
"""SNS tries again after 2 s instead of 20, so that nobody has to watch a pause."""


class Step(enum.Enum):
    """A part of the system; they come up in this order."""

    AWS = "An emulated AWS starts: S3, SES, SNS, SQS, DynamoDB, IAM"
    STACK = "bootstrap apply builds the stack in it"
    DAEMON = "The daemon starts, and SNS confirms its webhook"
    IMAP = "Dovecot starts"
    WEBMAIL = "The webmail starts"


class MailReader:
    """An IMAP connection that stays logged in, as that of a mail client. Its calls block."""

    def __init__(self, imap: PrivateDovecot, login: str, password: str) -> None:
        self._imap = imap
        self._login = login
        self._password = password

    def __enter__(self) -> Self:
        self._client = imaplib.IMAP4(self._imap.host, self._imap.port, timeout=30)
        try:
            self._client.login(self._login, self._password)
        except BaseException:
            self._client.shutdown()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._client.logout()

    def read_marks(self, folder: str) -> list[bool]:
        """Return whether each mail of a folder is marked as read, by its sequence number."""
        self._client.select(folder, readonly=True)
        _, found = self._client.fetch("1:*", "(FLAGS)")
        return [b"\\Seen" in each for each in found if isinstance(each, bytes)]

    def seen(self, message_id: str, place: CopyLocation, within: float) -> float | None:
        """Return when the mail with this SES ID shows up (seconds since 1970)."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            status, _ = self._client.select(place.folder, readonly=True)
            if status == "OK":
                # The ID is in SES's own Received line, where a client can search for it.
                _, found = self._client.search(None, "HEADER", "Received", message_id)
                if found and found[0]:
                    return time.time()
            time.sleep(LOOK_AGAIN)
        return None


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail that was sent at `at` (seconds since 1970)."""

    sample: Sample
    received: Received
    at: float


class DemoSystem:
    """Runs everything on loopback while the context is open; its files are below `root`.

    `command` runs the daemon. Only the bytes in the Maildirs tell whether a mail is where it
    belongs; the daemon's log lines tell only when it got there.
    """

    def __init__(
        self,
        root: Path,
        command: Sequence[str] = COMMAND,
        *,
        with_webmail: bool = False,
        emulator: Emulator | None = None,
    ) -> None:
        self.webmail: DemoWebmail | None = None
        self._with_webmail = with_webmail
        self.household = Household(root)
        # Held until the end, since the daemon may be killed and started again.
        self._held = [hold_port(), hold_port()]
        self.port, page = (held.getsockname()[1] for held in self._held)
        self.page = f"127.0.0.1:{page}"
        """Host and port of the daemon's status page."""
        self.coming_up: Callable[[Step], AbstractContextManager[None]] = lambda _: nullcontext()
        """A context that is open while a part comes up."""
        url = f"http://127.0.0.1:{self.port}/sns"
        self.cloud = Cloud(SNS_SPEED, url, self.household.handed, emulator)
        self.sent: list[Sent] = []
        self.imap: PrivateDovecot | None = None
        self.imap_trouble = ""
        """Why there is no IMAP."""
        self.password = secrets.token_hex(4)
        self.daemon: DaemonProcess
        self._command = command
        self._ses = Ses(self.cloud)
        self._journeys = Journeys()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for held in self._held:
                stack.enter_context(held)
            with self.coming_up(Step.AWS):
                await stack.enter_async_context(self.cloud)
            with self.coming_up(Step.STACK):
                await self.cloud.create()
            self.household.configure(
                self.cloud.stack,
                self.cloud.queue_urls,
                self.port,
                self.page,
                webmail=self._with_webmail,
            )
            with self.coming_up(Step.DAEMON):
                await self.start_daemon()
                stack.push_async_callback(self._stop_daemon)
            with self.coming_up(Step.IMAP):
                self._serve_imap(stack)
            if self._with_webmail:
                with self.coming_up(Step.WEBMAIL):
                    self.webmail = await stack.enter_async_context(self._made_webmail())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def start_daemon(self) -> None:
        """Start the daemon, or start it again after a kill; return once SNS reaches it."""
        self.daemon = DaemonProcess(
            self.household.config,
            self.cloud.environment(os.environ),
            self.household.log,
            self._journeys.hear,
            self._command,
        )
        await self.daemon.__aenter__()

    async def _stop_daemon(self) -> None:
        await self.daemon.__aexit__()

    def _made_webmail(self) -> DemoWebmail:
        environment = self.cloud.environment(os.environ, administrator=True)
        household = self.household
        return DemoWebmail(household.config, environment, household.maildirs, self._command)

    async def seen_in_webmail(self) -> bool:
        """Return whether the webmail lists exactly its own mail for each mailbox."""
        assert self.webmail is not None
        end = time.monotonic() + ARRIVE_WITHIN
        while time.monotonic() < end:
            if await self._lists_all(self.webmail):
                return True
            await asyncio.sleep(LOOK_AGAIN)
        return False

    async def _lists_all(self, webmail: DemoWebmail) -> bool:
        places = [place for sent in self.sent for place in self.household.expected(sent.sample)]
        for mailbox in webmail.mailboxes:
            for folder, kept in (("inbox", "INBOX"), ("junk", JUNK)):
                listed = await webmail.subjects(mailbox, folder)
                if len(listed) != places.count(CopyLocation(mailbox, kept)):
                    return False
        return True

    def _serve_imap(self, stack: AsyncExitStack) -> None:
        if find_dovecot() is None:
            self.imap_trouble = "none; for it: sudo apt install dovecot-imapd"
            return
        # Dovecot's sockets need a short path, and the user's directory may have a long one.
        base = stack.enter_context(tempfile.TemporaryDirectory(prefix="postamt-"))
        imap = PrivateDovecot(Path(base), self.household.maildirs, self.password)
        try:
            self.imap = stack.enter_context(imap)
        except PostamtError as error:
            self.imap_trouble = f"none: {error.problem}"

    async def send(self, sample: Sample, *, lose_notifications: bool = False) -> Sent:
        """Let SES accept a mail; with `lose_notifications` SNS tells nobody."""
        at = time.time()
        received = await self._ses.receive(
            sample.message,
            sample.sender,
            sample.recipients,
            spam=sample.spam,
            lose_notifications=lose_notifications,
        )
        sent = Sent(sample, received, at)
        self.sent.append(sent)
        return sent

    def is_right(self, sent: Sent) -> bool:
        """Tell whether one file with these bytes is in each right place, and none elsewhere."""
        expected = sorted(self.household.expected(sent.sample), key=str)
        return self.household.places_of(sent.received.content) == expected

    async def arrived(self, sent: Sent) -> bool:
        """Return whether all copies arrived in time."""
        return await self.until(lambda: self.is_right(sent))

    async def seen_over_imap(self, sent: Sent) -> float | None:
        """Return when the last copy showed up over IMAP (seconds since 1970), or None."""
        if self.imap is None:
            return None
        places = self.household.expected(sent.sample)
        mailboxes = [self.household.maildirs[place.mailbox] for place in places]
        # The daemon logs "delivered" once that is durable; a client may see the mail earlier.
        journey = self.journey(sent)
        await self.until(lambda: len(journey.mailboxes) >= len(places), within=SAID_WITHIN)
        # Dovecot would make a missing Maildir itself, before the daemon does.
        if not await self.until(lambda: all(maildir.is_dir() for maildir in mailboxes)):
            return None
        return await asyncio.to_thread(self._seen_over_imap, sent)

    def _seen_over_imap(self, sent: Sent) -> float | None:
        assert self.imap is not None
        last = 0.0
        for place in self.household.expected(sent.sample):
            try:
                with MailReader(self.imap, place.mailbox, self.password) as reader:
                    seen = reader.seen(sent.received.message_id, place, ARRIVE_WITHIN)
            except (imaplib.IMAP4.error, OSError):
                return None
            if seen is None:
                return None
            last = max(last, seen)
        return last

    def journey(self, sent: Sent) -> Journey:
        """Return what the daemon has logged about a mail so far."""
        return self._journeys.of(mail_id(self.cloud.bucket, sent.received.key))

    async def until(self, done: Callable[[], bool], within: float = ARRIVE_WITHIN) -> bool:
        """Wait until a condition holds; return whether it does."""
        end = time.monotonic() + within
        while not done():
            if time.monotonic() > end:
                return False
            await asyncio.sleep(LOOK_AGAIN)
        return True
