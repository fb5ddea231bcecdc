"""`postamt-sync bootstrap apply`: carries out the plan."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from postamt_sync.bootstrap.change import NoteKind
from postamt_sync.bootstrap.dns.records import Servers, identities, records
from postamt_sync.bootstrap.dns.webmail_records import webmail_records
from postamt_sync.bootstrap.plan import Plan, carry_out
from postamt_sync.cli.bootstrap.dns import show as show_records
from postamt_sync.cli.bootstrap.stack import (
    Opened,
    Out,
    PositionOption,
    Wheel,
    agreed,
    counted,
    located,
    opened,
    remember,
    show,
    show_password,
)
from postamt_sync.cli.console import open_console, paragraph
from postamt_sync.cli.options import ConfigPath, Debug, Yes
from postamt_sync.errors import ExitCode
from postamt_sync.quantities import count


def apply(
    yes: Yes = False,
    position: PositionOption = "",
    out: Out = None,
    wheel: Wheel = None,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Build the AWS side, or bring it up to date. The plan is shown first.

    Interrupted anywhere and run again, it goes on where it was; run once more, it
    writes nothing. The users' keys, which AWS reveals only once, go into --out,
    which is remembered. A user who has a key keeps it, wherever its file is; only
    "credentials replace" and "credentials rotate" make another.

    \b
    Examples:
      postamt-sync bootstrap apply
      postamt-sync bootstrap apply --yes --out ./keys
      postamt-sync bootstrap apply --position first
    """
    console = open_console()
    account = opened(config, out, wheel)
    account.introduce(console)
    found = account.plan(position)
    show(found, console)
    if found.changes or found.conflicts:
        make(account, found, console, yes=yes)
    else:
        console.print("\nNothing to do.")
        remember(account, console)
    console.print(Text("\nWhat is left for you", style="bold"))
    for number, message in enumerate(_left(account, found), start=1):
        paragraph(console, f"{number}. {message}", "  ")
    _show_records(account, console)
    return ExitCode.OK


def make(
    account: Opened, found: Plan, console: Console, *, yes: bool, passwords: bool = True
) -> None:
    """Ask, unless `yes`, then carry out the plan and print a line for each change; with
    `passwords`, show mail clients' new credentials."""
    changes = len(found.changes)
    if not found.conflicts:
        console.print()
        agreed(f"Make {count(changes, 'change')}?", yes=yes)
        console.print()
    before = {one.file.key_id() for one in account.keys.sending}
    try:
        carry_out(found, account.aws, counted(console, changes))
    finally:
        remember(account, console)
    for one in account.keys.sending:
        if passwords and one.file.key_id() not in {*before, ""}:
            show_password(one, console)


def _left(account: Opened, found: Plan) -> Iterator[str]:
    kept = account.keys
    yield (
        f"Put {located(kept.sync)} onto the box at home as the AWS credentials of the user that "
        "runs postamt-sync, readable by it alone."
    )
    for one in kept.sending:
        who = f"{one.mailbox} sends" if one.mailbox else "Mail clients send"
        yield f"{who} with the settings in {located(one.key)}."
    if account.settings.home.submission and kept.sending:
        files = account.directory if account.stack.smtp_senders else kept.sending[0].file.path
        relay = f"sudo postamt-sync dovecot relay {shlex.quote(str(files))}"
        yield f"Give Dovecot on the box at home its credentials for sending: {relay}"
    if any(note.kind is NoteKind.SANDBOX for _, note in found.notes):
        yield "Ask SES to let you out of its sandbox: postamt-sync bootstrap production-access"
    if any(note.kind is NoteKind.CONFIGURATION for _, note in found.notes):
        yield "Correct the configuration as the plan says above."
    yield "Start the daemon on the box at home: sudo postamt-sync service install"
    if any(note.kind is NoteKind.CERTIFICATE for _, note in found.notes):
        yield (
            "The webmail is waiting for its certificate, and the certificate for its DNS record, "
            "which is among those below. Once that is there: postamt-sync bootstrap apply"
        )
    elif account.stack.webmail is not None:
        yield (
            f"The webmail is at {account.stack.webmail.origin}/ once the DNS leads there. Let "
            "someone in: postamt-sync webmail user add NAME"
        )
    yield (
        "Put these records into the DNS (as a file: postamt-sync bootstrap dns --format zone; "
        "into Route 53: --route53), then see whether all works: postamt-sync bootstrap verify"
    )


def _show_records(account: Opened, console: Console) -> None:
    known_domains = identities(account.stack, account.aws)
    home = account.settings.home
    servers = Servers(home.imap_host, relay=home.submission)
    console.print()
    wanted = records(account.stack, known_domains, servers)
    show_records([*wanted, *webmail_records(account.stack, account.aws)], None, console)
