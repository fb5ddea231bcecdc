"""A mail client of the demo's own: when does a mail show over IMAP?"""

from __future__ import annotations

import imaplib
import time
from typing import Self

from postamt_sync.demo.dovecot import PrivateDovecot
from postamt_sync.demo.household import CopyLocation

LOOK_AGAIN = 0.01
"""Seconds between two looks."""


class MailReader:
    """Stays logged in as one person, as a mail client does. Blocking."""

    def __init__(self, imap: PrivateDovecot, login: str, password: str) -> None:
        self._imap = imap
        self._login = login
        self._password = password

    def __enter__(self) -> Self:
        self._client = imaplib.IMAP4(self._imap.host, self._imap.port, timeout=30)
        self._client.login(self._login, self._password)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.logout()

    def seen(self, message_id: str, place: CopyLocation, within: float) -> float | None:
        """Return when (seconds since 1970) a mail shows that SES took under this id."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            status, _ = self._client.select(place.folder, readonly=True)
            if status == "OK":
                # The id stands in SES's own Received, where a client can search for it.
                _, found = self._client.search(None, "HEADER", "Received", message_id)
                if found and found[0]:
                    return time.time()
            time.sleep(LOOK_AGAIN)
        return None
