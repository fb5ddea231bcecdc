"""`postamt-sync rebuild`: rebuilds the ledger from its backup, the Maildirs and the bucket."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from postamt_sync.app.open_bucket import open_bucket
from postamt_sync.app.recovery_components import make_rebuild
from postamt_sync.cli.in_force import complete
from postamt_sync.cli.options import ConfigPath, Debug, Json
from postamt_sync.cli.printed_json import print_json
from postamt_sync.config import load
from postamt_sync.errors import ExitCode
from postamt_sync.host.service.user import refuse_root
from postamt_sync.logs import configure_logging
from postamt_sync.quantities import count
from postamt_sync.recovery.rebuild import RebuildResult


def rebuild(
    anew: Annotated[
        bool,
        typer.Option("--anew", help="Set the ledger aside and use no copy, only the file names."),
    ] = False,
    config: ConfigPath = None,
    json: Json = False,
    debug: Debug = False,
) -> ExitCode:
    """Rebuild the ledger, the list of what was delivered.

    run and sync do this by themselves if the ledger is lost or older than the mail.
    By hand, it also repairs a damaged one, which is set aside for its copy. Then
    all file names in the Maildirs are read and the bucket is listed. With a copy,
    mail that is neither delivered according to it nor at home is delivered by the
    next run or sync. Without one, so is mail that is at least as new as the newest
    in its mailbox; older mail that is not there counts as absent from this mailbox
    (postamt-sync restore --only absent brings it back). Refuses, with 75, while a
    daemon is delivering.

    \b
    Examples:
      postamt-sync rebuild
      postamt-sync rebuild --anew
    """
    settings = load(config)
    refuse_root(settings, "rebuild")
    events = configure_logging(level="debug" if debug else "error", words=complete)
    work = make_rebuild(settings, open_bucket(settings), events, anew=anew)
    result = asyncio.run(work.run())
    if json:
        print_json(result.as_json(), indent=None)
    else:
        print(as_text(result))
    return ExitCode.OK


def as_text(result: RebuildResult) -> str:
    """Return the result in a sentence or two."""
    lines = []
    if result.set_aside:
        lines.append(f"The ledger was set aside: {result.set_aside}")
    if result.copy:
        lines.append(f"Its copy was used: {result.copy}")
    lines.append(
        f"{count(result.names, 'file name')} read, {count(result.listed, 'object')} listed: "
        f"{result.delivered} delivered, {result.absent} absent, {result.waiting} waiting."
    )
    if result.unmatched:
        files = count(result.unmatched, "file")
        lines.append(complete(f"{files} of no object: postamt-sync verify"))
    return "\n".join(lines)
