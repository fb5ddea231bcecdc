"""`postamt-sync redeliver KEY`: delivers a mail once more."""

from __future__ import annotations

from postamt_sync.cli.open_ledger import Key, by_whom, opened
from postamt_sync.cli.options import ConfigPath, Debug
from postamt_sync.errors import ExitCode
from postamt_sync.events import printable


def redeliver(key: Key, config: ConfigPath = None, debug: Debug = False) -> ExitCode:  # noqa: ARG001
    """Deliver a mail once more into all its mailboxes, as a new file.

    For a mail that was deleted or damaged at home. Copies that are there stay. A
    running daemon takes it up within seconds; otherwise the next run or sync does.

    \b
    Examples:
      postamt-sync redeliver incoming/4k1s0v8q7p5n
      postamt-sync redeliver 7d1f9f0c2b4a5e6d7c8b9a01
    """
    with opened(config) as (ledger, holder):
        known = ledger.repair.redeliver(key)
    print(f"{printable(known.key)} will be delivered once more{by_whom(holder)}.")
    return ExitCode.OK
