"""The certificates that genuine messages were signed with, kept in a file beside the ledger.

SNS changes its certificate about once a year. With this file, messages can be verified after a
start without a download, even without a network, and whatever strangers make us download.
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
"""Bytes. A certificate takes about 2,000, and only a few are kept."""


class CertificateStore:
    """Certificates as PEM, by the URL that they were fetched from. Blocking."""

    def __init__(self, state_dir: Path, events: Events) -> None:
        self._path = state_dir / FILE_NAME
        self._events = events

    def read(self) -> dict[str, str]:
        """Return the certificates, the oldest first; none if the file is missing or damaged."""
        try:
            kept = json.loads(read_small(self._path, LARGEST_FILE))
        except (OSError, ValueError, RecursionError):
            return {}  # they are downloaded again
        if not isinstance(kept, dict):
            return {}
        return {url: pem for url, pem in kept.items() if isinstance(pem, str)}

    def write(self, kept: Mapping[str, str]) -> None:
        """Keep these, durably. A failure is logged; then the next start downloads them again."""
        try:
            atomic_file.write(self._path, json.dumps(kept, indent=1))
        except OSError as error:
            self._events.certificates_not_kept(str(_not_written(self._path, error)))


def _not_written(path: Path, error: OSError) -> PostamtError:
    return TryLaterError(
        f"{printable(str(path))} cannot be written: {error.strerror or error}.",
        "Check the disk of state_dir: is there room, and may this user write?",
    )
