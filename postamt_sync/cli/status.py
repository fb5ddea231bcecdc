"""`postamt-sync status`: how things stand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from postamt_sync.cli.options import ConfigPath, Debug, Json
from postamt_sync.cli.printed_json import print_json
from postamt_sync.config import load
from postamt_sync.errors import ExitCode, UsageError
from postamt_sync.ledger import Ledger
from postamt_sync.status.report import StatusReport, as_json, read_report


def status(
    config: ConfigPath = None,
    json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Refresh every few seconds, until Ctrl-C.")
    ] = False,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Show what waits, what was delivered, what is quarantined, and how each source is doing.

    Works with or without a running daemon, and only reads the ledger. Exits 0 if
    that was possible. What --json prints: postamt-sync help json status

    \b
    Examples:
      postamt-sync status
      postamt-sync status --watch
      postamt-sync status --json | jq .mails
    """
    if json and watch:
        raise UsageError("--watch and --json exclude each other.", "Leave one of them out.")
    if json:
        print_json(as_json(_look(config)))
        return ExitCode.OK
    # Importing what draws takes a third of the time that this verb needs.
    from postamt_sync.cli.status_picture import show, watch_it  # noqa: PLC0415

    if watch:
        watch_it(config)
    else:
        show(_look(config))
    return ExitCode.OK


def _look(config: Path | None) -> StatusReport:
    settings = load(config)
    ledger = Ledger.open_existing(settings.state_dir)
    try:
        return read_report(settings, ledger)
    finally:
        ledger.close()
