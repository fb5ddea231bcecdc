"""Follows the first mail: into the ledger, into the Maildir, and out of the IMAP server."""

from __future__ import annotations

import contextlib
import imaplib
import os
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from postamt_sync.backoff import looked_until
from postamt_sync.config import Mailbox, Settings
from postamt_sync.errors import PostamtError, TryLaterError, UsageError
from postamt_sync.ledger import Ledger
from postamt_sync.regular_file import open_regular
from postamt_sync.setup.first_mail import SUBJECT

WITHIN = 180.0
PAUSE = 0.3

_T = TypeVar("_T")
_LOOK_FOR_STATUS = "See what holds it up with: sudo postamt-sync status"


@dataclass(frozen=True, slots=True)
class ArrivalWatch:
    """Waits for one object, by its key. Needs root's rights. `within` is in seconds, for all."""

    settings: Settings
    key: str
    within: float = WITHIN
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def stations(self) -> Iterator[str]:
        """Yield a line for each stage that the mail has reached. Raises TryLaterError if it does
        not arrive in time."""
        began = self.clock()
        source = self._until(began, self._known)
        if source is None:
            raise TryLaterError("The daemon did not learn of the first mail.", _LOOK_FOR_STATUS)
        yield f"the daemon knows of it, first from {source}"
        path = self._until(began, self._delivered)
        if path is None:
            raise TryLaterError("The first mail did not arrive.", _LOOK_FOR_STATUS)
        yield f"it is in {path.parent}"

    def _until(self, began: float, look: Callable[[], _T | None]) -> _T | None:
        return looked_until(began + self.within, look, PAUSE, self.clock, self.sleep)

    def _known(self) -> str | None:
        try:
            ledger = Ledger.open_for_a_look(self.settings.state_dir)
        except (PostamtError, OSError):
            return None
        try:
            return ledger.repair.find(self.key).source
        except UsageError:
            return None
        finally:
            ledger.close()

    def _delivered(self) -> Path | None:
        maildir = self.settings.default_mailbox.maildir
        message_id = self.key.rpartition("/")[2].encode()
        for part in ("new", "cur"):
            with contextlib.suppress(OSError):
                for path in (maildir / part).iterdir():
                    with contextlib.suppress(OSError), os.fdopen(open_regular(path), "rb") as file:
                        if message_id in file.read(4096):
                            return path
        return None


def reads_it(mailbox: Mailbox, password: str, host: str = "127.0.0.1", port: int = 993) -> bool:
    """Log in over IMAP on this machine and look for the first mail; return whether it is there."""
    context = ssl.create_default_context()
    context.check_hostname = False  # this machine, by its address
    context.verify_mode = ssl.CERT_NONE
    try:
        with imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=20) as client:
            client.login(mailbox.name, password)
            client.select("INBOX", readonly=True)
            _, found = client.search(None, "SUBJECT", f'"{SUBJECT}"')
    except (imaplib.IMAP4.error, OSError):
        return False
    return bool(found and found[0])
