"""The folders to which SES's verdicts lead, as the options of [delivery] name them."""

from __future__ import annotations

from postamt_sync.config.folder import is_inbox
from postamt_sync.config.settings import DeliverySettings
from postamt_sync.mail.routing import VerdictFolders

OPTIONS = {"junk": "junk_folder", "virus": "virus_folder", "dmarc": "dmarc_folder"}
"""Names of the options by the fields of VerdictFolders."""


def verdict_folders(delivery: DeliverySettings) -> VerdictFolders:
    """Return them with a dot between levels; "" is the INBOX."""
    named = {name: getattr(delivery, option) for name, option in OPTIONS.items()}
    return VerdictFolders(
        **{name: "" if is_inbox(folder) else folder for name, folder in named.items()}
    )
