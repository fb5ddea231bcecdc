"""One real mail from SES to the Maildir and back, with the time that each hop takes."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime, localtime
from pathlib import Path
from typing import TypeVar

from postamt_sync.backoff import looked_until
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.config import Mailbox, Settings
from postamt_sync.delivery.disk import open_mail
from postamt_sync.delivery.maildir_scan import mail_directories
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.doctor.sending import Sender
from postamt_sync.errors import PostamtError, UsageError
from postamt_sync.events import printable
from postamt_sync.host.mail_client import address_of
from postamt_sync.ledger import Ledger
from postamt_sync.regular_file import NO_FILES

WITHIN = 300.0
"""Seconds for the whole way; a poll alone may be as long in coming."""
PAUSE = 0.5
HEAD_BYTES = 65_536
"""How far into a mail the token is looked for: SES's own header comes before it."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Sends a mail to a mailbox's own address, and waits for it at each hop.

    Reads bucket, ledger and Maildir, as the daemon's user or root may. The mail stays where it
    arrives, with a subject that says what it is.
    """

    settings: Settings
    aws: AwsClient
    mailbox: Mailbox
    send: Sender
    within: float = WITHIN
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    token: str = field(default_factory=lambda: secrets.token_hex(16))

    def findings(self) -> Iterator[Finding]:
        """Yield each hop as the mail gets there; the first at which it does not is the last.

        Blocks for as long as that takes, at most `within` seconds after the sending. Raises
        PostamtError where bucket, ledger or Maildir cannot be read.
        """
        address = address_of(self.settings, self.mailbox)
        if not address:
            raise UsageError(
                f"The mailbox {self.mailbox.name} has no address to which a mail could be sent.",
                "Name another one with: --to NAME",
            )
        files = set(self._files())
        keys = self._keys()
        began = self.clock()
        try:
            self.send(self._mail(address), address)
        except PostamtError as error:
            yield Finding("round trip sending", Severity.FAILURE, error.problem, error.hint)
            return
        yield self._well("sending", began, f"SES has taken a mail to {address}")

        key = self._until(began, lambda: self._arrived(keys))
        if key is None:
            remedy = "Look at the MX and the receipt rule: postamt-sync doctor"
            yield self._late("bucket", "SES did not store it in the bucket", remedy)
            return
        yield self._well("bucket", began, f"SES has stored it as {printable(key)}")

        source = self._until(began, lambda: self._known(key))
        if source is None:
            remedy = "Is the daemon running? See: postamt-sync status"
            yield self._late("ledger", "The daemon did not learn of it", remedy)
            return
        yield self._well("ledger", began, f"The daemon knows of it, first from {source}")

        path = self._until(began, lambda: self._delivered(files))
        if path is None:
            remedy = "See what holds it up with: postamt-sync status"
            yield self._late("Maildir", f"It did not come to {self.mailbox.name}", remedy)
            return
        yield self._well("Maildir", began, f"It lies in {path.parent}")

    def _mail(self, address: str) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = mail["To"] = address
        mail["Subject"] = "A round trip of postamt-sync doctor"
        mail["Date"] = format_datetime(localtime())
        # SES puts a Message-ID of its own in the place of ours.
        mail["X-Postamt-Round-Trip"] = self.token
        mail.set_content(f"You may delete this.\n\n{self.token}\n")
        return mail

    def _until(self, began: float, look: Callable[[], _T | None]) -> _T | None:
        return looked_until(began + self.within, look, PAUSE, self.clock, self.sleep)

    def _keys(self) -> set[str]:
        bucket = self.settings.bucket
        prefix = bucket.recent_prefix or bucket.prefix
        listed = self.aws.pages(
            "s3", "list_objects_v2", "Contents", Bucket=bucket.name, Prefix=prefix
        )
        return {bucket.prefix + str(o["Key"]).removeprefix(prefix) for o in listed}

    def _arrived(self, before: set[str]) -> str | None:
        """Return the key of our mail among the new ones; others are not looked at twice."""
        for key in sorted(self._keys() - before):
            answer = self.aws.read(
                "s3",
                "get_object",
                missing=("NoSuchKey", "InvalidRange"),
                Bucket=self.settings.bucket.name,
                Key=key,
                Range=f"bytes=0-{HEAD_BYTES - 1}",
            )
            if answer is None:
                continue
            before.add(key)
            with contextlib.closing(answer["Body"]) as body:
                if self.token.encode() in body.read():
                    return key
        return None

    def _known(self, key: str) -> str | None:
        ledger = Ledger.open_for_a_look(self.settings.state_dir)
        try:
            return ledger.repair.find(key).source
        except UsageError:
            return None
        finally:
            ledger.close()

    def _files(self) -> Iterable[Path]:
        try:
            with contextlib.suppress(FileNotFoundError):
                for _, directory in mail_directories(self.mailbox.maildir):
                    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                        yield from map(Path, os.scandir(directory))
        except PermissionError as error:
            raise UsageError(
                f"This user may not look into {self.mailbox.maildir}.",
                "Run it with sudo, or as the user that the daemon runs as.",
            ) from error

    def _delivered(self, before: set[Path]) -> Path | None:
        for path in set(self._files()) - before:
            try:
                with open_mail(path) as file:
                    if self.token.encode() in file.read(HEAD_BYTES):
                        return path
            except FileNotFoundError:  # a client may move or expunge it in this very moment
                continue
            except OSError as error:
                if error.errno not in NO_FILES:
                    raise
            before.add(path)
        return None

    def _well(self, hop: str, began: float, what: str) -> Finding:
        words = f"{what}, {self.clock() - began:.1f} s after it was sent."
        if hop == "sending":
            words = f"{what}, within {self.clock() - began:.1f} s."
        return Finding(f"round trip {hop}", Severity.OK, words)

    def _late(self, hop: str, what: str, remedy: str) -> Finding:
        words = f"{what} within {self.within:g} s."
        return Finding(f"round trip {hop}", Severity.FAILURE, words, remedy)
