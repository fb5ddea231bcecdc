"""Where `join` puts the IMAP server's certificate that it found or made."""

from __future__ import annotations

from pathlib import PurePosixPath

IMAP_CHAIN = PurePosixPath("/etc/postamt-sync/imap/fullchain.pem")
IMAP_KEY = PurePosixPath("/etc/postamt-sync/imap/privkey.pem")
