"""Settings in force, as small as they can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from postamt_sync.config import LiveSettings, Settings


def live_settings(maildir: Path = Path("/var/mail/anna"), **sections: Any) -> LiveSettings:
    """Return those of one mailbox, and of the sections that are given, as a file names them."""
    anna = {"name": "anna", "maildir": maildir, "default": True}
    least = {
        "aws": {"region": "eu-west-1"},
        "bucket": {"name": "mail-bucket"},
        "mailboxes": [anna],
    }
    return LiveSettings(Settings(**{**least, **sections}))
