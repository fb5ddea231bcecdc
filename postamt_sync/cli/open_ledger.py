"""Opens the ledger for the repair verbs: beside a running daemon, in short transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from postamt_sync.cli.in_force import typed
from postamt_sync.config import load
from postamt_sync.ledger import CourierLock, Ledger

Key = Annotated[
    str,
    typer.Argument(
        metavar="KEY", help="S3 key, its last part, or the mail id of a log line or file name."
    ),
]


@contextmanager
def opened(config: Path | None) -> Iterator[tuple[Ledger, str]]:
    """Open the configured ledger; also yield who is delivering now, "" if nobody is."""
    settings = load(config)
    ledger = Ledger.open_existing(settings.state_dir)
    try:
        yield ledger, CourierLock.holder(settings.state_dir) or ""
    finally:
        ledger.close()


def by_whom(holder: str) -> str:
    """Say who will deliver what was just made due, as the end of a sentence."""
    return f" now, by {holder}" if holder else f" by the next run, or by: {typed('sync')}"
