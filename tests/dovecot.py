"""A real Dovecot for tests that want to see a mail as a mail client does."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from imapclient import IMAPClient

from postamt_sync.demo.dovecot import PrivateDovecot, find_dovecot

PASSWORD = "open sesame"

needs_dovecot = [
    pytest.mark.dovecot,
    pytest.mark.skipif(
        find_dovecot() is None, reason="Dovecot is not installed: sudo apt install dovecot-imapd"
    ),
]
"""Set `pytestmark = needs_dovecot` in a module, or spread it over one test."""


@contextmanager
def serving(**maildirs: Path) -> Iterator[PrivateDovecot]:
    """Serve Maildirs, each under its login; they need not exist yet."""
    # Dovecot's sockets need a shorter path than pytest's own directories have.
    with (
        tempfile.TemporaryDirectory(prefix="dc") as base,
        PrivateDovecot(Path(base), maildirs, PASSWORD) as imap,
    ):
        yield imap


@contextmanager
def mail_client(imap: PrivateDovecot, login: str) -> Iterator[IMAPClient]:
    """Connect and log in as a mail client would."""
    with IMAPClient(imap.host, imap.port, ssl=False, timeout=30) as client:
        client.login(login, PASSWORD)
        yield client
