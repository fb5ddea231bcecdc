"""postamt-sync, which tells where it blocks its event loop by using the ledger in that thread.

$BLOCKED names the file that it is told in.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Sequence
from pathlib import Path

from postamt_sync.cli import main as command_line
from postamt_sync.ledger.store import Store

PACKAGE = Path(__file__).parents[2] / "postamt_sync"


def tell() -> None:
    """Note the function that has called the ledger, if its thread runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    callers = [
        f"{path.relative_to(PACKAGE)} {frame.name}"
        for frame in traceback.extract_stack()
        if (path := Path(frame.filename)).is_relative_to(PACKAGE) and path.parent.name != "ledger"
    ]
    with Path(os.environ["BLOCKED"]).open("a", encoding="utf-8") as told:
        told.write(f"{callers[-1] if callers else 'who has called it'}\n")


def run(arguments: Sequence[str]) -> int:
    """Be a process of postamt-sync with these arguments."""
    Store.observer = staticmethod(tell)
    return command_line.run(arguments)
