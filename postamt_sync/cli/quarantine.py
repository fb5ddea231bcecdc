"""`postamt-sync quarantine list | show | retry | leave`: mail that could not be delivered."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from postamt_sync.cli.in_force import complete
from postamt_sync.cli.open_ledger import Key, by_whom, opened
from postamt_sync.cli.options import ConfigPath, Debug, Json
from postamt_sync.cli.printed_json import print_json
from postamt_sync.cli.verbs import end_without_verb
from postamt_sync.errors import ExitCode, UsageError
from postamt_sync.events import printable
from postamt_sync.ledger.repair import ObjectDetails
from postamt_sync.quantities import count
from postamt_sync.status.moments import utc_time

TIMES = ("first_seen", "last_modified", "settled_at")

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def quarantine(context: typer.Context) -> None:
    """Look at mail that can never be delivered as it is; try it again, or leave it.

    \b
    Examples:
      postamt-sync quarantine list
      postamt-sync quarantine show 4k1s0v8q7p5n
      postamt-sync quarantine retry --all
      postamt-sync quarantine leave 4k1s0v8q7p5n
    """
    end_without_verb(context)


@app.command("list")
def list_(config: ConfigPath = None, json: Json = False, debug: Debug = False) -> ExitCode:  # noqa: ARG001
    """List what is quarantined, newest first, with the reasons.

    \b
    Examples:
      postamt-sync quarantine list
      postamt-sync quarantine list --json | jq -r '.[].key'
    """
    with opened(config) as (ledger, _):
        known = ledger.repair.quarantined()
    if json:
        print_json([as_json(k) for k in known])
    elif not known:
        print("Nothing is quarantined.")
    for k in [] if json else known:
        print(f"{printable(k.key)}\n    {complete(k.problem or '')}")
    return ExitCode.OK


@app.command()
def show(key: Key, config: ConfigPath = None, json: Json = False, debug: Debug = False) -> ExitCode:  # noqa: ARG001
    """Show what is known of one mail, quarantined or not.

    \b
    Examples:
      postamt-sync quarantine show 4k1s0v8q7p5n
      postamt-sync quarantine show incoming/4k1s0v8q7p5n --json
    """
    with opened(config) as (ledger, _):
        known = ledger.repair.find(key)
    fields = as_json(known)
    if json:
        print_json(fields)
        return ExitCode.OK
    for name, value in fields.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        if name in TIMES and value:
            shown = f"{datetime.fromisoformat(value).astimezone():%Y-%m-%d %H:%M:%S %Z}"
        elif name == "problem":
            shown = complete(value or "")
        print(f"{name.replace('_', ' '):<14} {'-' if shown in (None, '') else shown}")
    return ExitCode.OK


@app.command()
def retry(
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            help="S3 key, its last part, or the mail id of a log line or file name.",
            show_default=False,
        ),
    ] = "",
    all_: Annotated[bool, typer.Option("--all", help="Everything that is quarantined.")] = False,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001
) -> ExitCode:
    """Try quarantined mail again, once the cause is fixed.

    A running daemon takes it up within seconds; otherwise the next run or sync does.

    \b
    Examples:
      postamt-sync quarantine retry 4k1s0v8q7p5n
      postamt-sync quarantine retry --all
    """
    if bool(key) == all_:
        raise UsageError("It is not clear what to retry.", "Name one KEY, or use --all.")
    with opened(config) as (ledger, holder):
        number = ledger.repair.retry_quarantined(None if all_ else key)
    print(f"{count(number, 'mail')} to be tried again{by_whom(holder)}.")
    return ExitCode.OK


@app.command()
def leave(key: Key, config: ConfigPath = None, debug: Debug = False) -> ExitCode:  # noqa: ARG001
    """Leave a mail in the bucket. You have looked at it, and do not want it.

    It is then no longer quarantined, and no longer holds up sealing. It stays in the
    bucket, from where redeliver can still bring it.

    \b
    Examples:
      postamt-sync quarantine leave 4k1s0v8q7p5n
    """
    with opened(config) as (ledger, _):
        ledger.repair.leave_quarantined(key)
    print(complete("Left in the bucket. To have it after all: postamt-sync redeliver KEY"))
    return ExitCode.OK


def as_json(known: ObjectDetails) -> dict[str, Any]:
    """Return what is known of one mail; times are ISO 8601 in UTC."""
    fields = asdict(known) | {"key": printable(known.key, 1024)}
    for name in TIMES:
        fields[name] = utc_time(fields[name])
    fields["mailboxes"] = list(known.mailboxes)
    return fields
