"""`postamt-sync mailbox accept NAME`: accepts a Maildir in place of one that vanished."""

from __future__ import annotations

import typer

from postamt_sync.cli.open_ledger import by_whom, opened
from postamt_sync.cli.options import ConfigPath, Debug, MailboxName, known_mailbox
from postamt_sync.cli.verbs import end_without_verb
from postamt_sync.config import load
from postamt_sync.delivery.destinations import configured_destinations
from postamt_sync.errors import ExitCode, UsageError
from postamt_sync.events import printable
from postamt_sync.host.service.user import refuse_root

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def mailbox(context: typer.Context) -> None:
    """Accept a Maildir after its disk was replaced.

    \b
    Examples:
      postamt-sync mailbox accept thomas
    """
    end_without_verb(context)


@app.command()
def accept(
    name: MailboxName,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001
) -> ExitCode:
    """Accept the Maildir that is now in the mailbox's place.

    For a disk that was replaced: its Maildir has neither our marker nor any mail of
    ours, so mail waits as if the disk were not mounted. What was delivered into the
    old one is not delivered again; verify lists it, restore brings it back.

    \b
    Examples:
      postamt-sync mailbox accept thomas
      postamt-sync mailbox accept thomas && postamt-sync restore --only missing
    """
    settings = load(config)
    if known_mailbox(settings, name).delivery == "lmtp":
        raise UsageError(
            f"Dovecot receives the mail of {name} over LMTP.",
            "It need not be accepted: nothing of ours is in its Maildir.",
        )
    refuse_root(settings, f"mailbox accept {name}")
    with opened(config) as (ledger, holder):
        maildir = configured_destinations(settings, ledger.work).mailboxes.accept(name)
    print(
        f"{printable(str(maildir.root))} is the Maildir of {name} from now on. "
        f"Mail that waits for it is delivered{by_whom(holder)}."
    )
    return ExitCode.OK
