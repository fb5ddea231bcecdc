"""A real mail handed to the emulator's SES; what SES does with what comes in is done here."""

from __future__ import annotations

import asyncio
import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage

from postamt_sync.cli.main import run
from postamt_sync.config import load
from postamt_sync.demo.ses import ses_header
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.doctor.round_trip import RoundTrip
from postamt_sync.doctor.sending import ByApi
from postamt_sync.errors import ExitCode
from tests.doctor.box import Box

NOT_OURS = b"Subject: another mail that came meanwhile\r\n\r\n"


class Incoming:
    """Sends through the emulated SES, stores as the receipt rule says, and lets the box sync."""

    def __init__(self, box: Box, *, stored: bool = True, synced: bool = True) -> None:
        self.box = box
        self.stored = stored
        self.synced = synced

    def __call__(self, mail: EmailMessage, address: str) -> None:
        ByApi(self.box.account.aws())(mail, address)
        if not self.stored:
            return
        now = dt.datetime.now(dt.UTC)
        for message_id, content in (("a", NOT_OURS), ("b", mail.as_bytes())):
            block = ses_header(message_id, address, address, now, spam="PASS", virus="PASS")
            for prefix in (self.box.stack.prefix, self.box.stack.recent_prefix):
                self.box.account.client("s3").put_object(
                    Bucket=self.box.stack.bucket, Key=prefix + message_id, Body=block + content
                )
        if self.synced:
            sync = [sys.executable, "-m", "postamt_sync", "sync", "--config", str(self.box.config)]
            subprocess.run(sync, check=True, capture_output=True)


async def travel(box: Box, send: Callable[[EmailMessage, str], None]) -> list[Finding]:
    settings = load(box.config, {})
    aws = box.account.aws()
    trip = RoundTrip(settings, aws, settings.mailboxes[0], send, within=0.0, sleep=lambda _: None)
    return await asyncio.to_thread(lambda: list(trip.findings()))


async def test_every_hop_is_timed_until_it_lies_in_the_maildir(box: Box) -> None:
    found = await travel(box, Incoming(box))
    assert [f.subject.removeprefix("round trip ") for f in found] == [
        "sending",
        "bucket",
        "ledger",
        "Maildir",
    ]
    assert {f.outcome for f in found} == {Severity.OK}
    assert all(" s" in f.words for f in found)
    assert "incoming/b" in found[1].words
    assert str(box.maildir / "new") in found[3].words


async def test_the_first_hop_that_it_does_not_reach_is_named(box: Box) -> None:
    *_, last = await travel(box, Incoming(box, stored=False))
    assert (last.subject, last.outcome) == ("round trip bucket", Severity.FAILURE)
    assert "MX" in last.remedy
    *_, last = await travel(box, Incoming(box, synced=False))
    assert (last.subject, last.outcome) == ("round trip ledger", Severity.FAILURE)
    assert "daemon" in last.remedy


async def test_a_sender_that_ses_does_not_believe_fails_at_once(box: Box) -> None:
    box.account.client("sesv2").delete_email_identity(EmailIdentity=box.stack.domains[0])
    found = await box.find("--round-trip")
    assert [(f["subject"], f["outcome"]) for f in found] == [("round trip sending", "failure")]
    assert box.code == ExitCode.FINDINGS


async def test_a_mailbox_that_is_not_there_is_said_before_anything_is_sent(box: Box) -> None:
    ours = ["--config", str(box.config), "--round-trip", "--to", "carl"]
    assert await asyncio.to_thread(run, ["doctor", *ours]) == ExitCode.USAGE
    assert "no mailbox 'carl'" in box.capsys.readouterr().err
