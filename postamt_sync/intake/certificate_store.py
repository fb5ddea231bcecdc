"""The certificates that true messages were signed with, remembered in a file beside the ledger.

SNS changes its certificate about once a year. With this file a start needs no download to believe
what comes, whatever strangers ask us to download meanwhile, and whether or not there is a network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from postamt_sync import atomic_file
from postamt_sync.errors import PostamtError, TryLaterError
from postamt_sync.events import Events, printable
from postamt_sync.regular_file import read_small

FILE_NAME = "sns-certificates.json"
LARGEST_FILE = 1 << 20
"""Bytes; a certificate takes two thousand, and few are kept."""


class CertificateStore:
    """PEM texts by the address that they were fetched from. Blocking."""

    def __init__(self, state_dir: Path, events: Events) -> None:
        self._path = state_dir / FILE_NAME
        self._events = events

    def read(self) -> dict[str, str]:
        """Return them, the oldest first; none where the file is missing or damaged."""
        try:
            kept = json.loads(read_small(self._path, LARGEST_FILE))
        except (OSError, ValueError, RecursionError):
            return {}  # they are downloaded again
        if not isinstance(kept, dict):
            return {}
        return {url: pem for url, pem in kept.items() if isinstance(pem, str)}

    def write(self, kept: Mapping[str, str]) -> None:
        """Remember these, durably. Where that fails it is logged, and the next start downloads."""
        try:
            atomic_file.write(self._path, json.dumps(kept, indent=1))
        except OSError as error:
            self._events.certificates_not_kept(str(_not_written(self._path, error)))


def _not_written(path: Path, error: OSError) -> PostamtError:
    return TryLaterError(
        f"{printable(str(path))} cannot be written: {error.strerror or error}.",
        "Check the disk of state_dir: is there room, may this user write?",
    )
