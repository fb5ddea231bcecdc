"""`postamt-sync bootstrap destroy`: removes the AWS side, and keeps the mail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.text import Text

from postamt_sync.bootstrap.dns.records import INBOUND
from postamt_sync.bootstrap.open_stack import webmail_of
from postamt_sync.bootstrap.plan import Resource, carry_out, plan_removal
from postamt_sync.bootstrap.resources.table import records_table
from postamt_sync.bootstrap.webmail_resources import webmail_resources
from postamt_sync.cli.bootstrap.stack import Opened, Out, agreed, counted, key_files, opened, show
from postamt_sync.cli.console import open_console, paragraph
from postamt_sync.cli.options import ConfigPath, Debug, Yes
from postamt_sync.errors import ExitCode, UsageError
from postamt_sync.events import printable
from postamt_sync.quantities import count

DeleteMail = Annotated[
    str,
    typer.Option(
        "--delete-mail",
        metavar="BUCKET",
        help="Delete all mail too, with bucket and index; repeat the bucket's name.",
        show_default=False,
    ),
]

Webmail = Annotated[
    bool, typer.Option("--webmail", help="Remove only the webmail; everything else stays.")
]


def destroy(
    delete_mail: DeleteMail = "",
    webmail: Webmail = False,
    yes: Yes = False,
    out: Out = None,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Remove what apply has made, and nothing else. The mail is kept.

    Other people's rule sets, rules and statements stay as they are, and so do
    domains that SES knew before. The bucket with all mail and the table of the
    index are kept unless --delete-mail repeats the bucket's name. Removing the
    webmail takes up to a quarter of an hour, because CloudFront has to switch it
    off first; if interrupted, the same command goes on.

    \b
    Examples:
      postamt-sync bootstrap destroy
      postamt-sync bootstrap destroy --webmail
      postamt-sync bootstrap destroy --delete-mail mail-123456789012-eu-west-1-an
    """
    console = open_console()
    account = opened(config, out)
    bucket = account.stack.bucket
    if delete_mail and delete_mail != bucket:
        raise UsageError(
            f"The bucket is {bucket}, not {printable(delete_mail, 80)}: nothing was deleted.",
            "Repeat the bucket's name after --delete-mail if its mail is to go.",
        )
    if delete_mail and webmail:
        raise UsageError(
            "--webmail touches no mail, so --delete-mail does not go with it.",
            "Leave one of them out.",
        )
    account.introduce(console)
    found = plan_removal(_removed(account, delete_mail, webmail_alone=webmail))
    show(found, console, "-")
    files = [] if webmail else sorted(key_files(account))
    if staying := list(_stays_of_webmail(account) if webmail else _stays(account, files)):
        console.print(Text("\nWhat stays, for you to remove", style="bold"))
        for message in staying:
            paragraph(console, message, "    ")
    if not found.changes:
        console.print("\nNothing to remove.")
        return ExitCode.OK
    changes = len(found.changes)
    console.print()
    question = f"Remove {count(changes, 'thing')}"
    agreed(f"{question}, and ALL MAIL?" if delete_mail else f"{question}?", yes=yes)
    carry_out(found, account.aws, counted(console, changes))
    for resource, note in found.notes:
        paragraph(console, f"{resource}: {note.message}", "    ")
    if files:
        console.print()
        message = f"The keys are deleted; remove the files that held them: {' '.join(files)}"
        console.print(Text(message), soft_wrap=True)
    return ExitCode.OK


def _removed(account: Opened, delete_mail: str, *, webmail_alone: bool) -> list[Resource]:
    """Return the resources to remove, also those of a webmail that is no longer configured."""
    aws = account.aws
    webmail = webmail_of(account.settings, account.stack.account)
    if webmail_alone:
        return webmail_resources(webmail, aws)
    every = account.resources(delete_mail=delete_mail)
    if account.stack.webmail is None and records_table(webmail, aws).is_there():
        return [*every, *webmail_resources(webmail, aws)]
    return every


def _stays_of_webmail(account: Opened) -> Iterator[str]:
    host = account.settings.webmail.host
    if host:
        yield (
            f"The DNS records of {host}, and the one that proves it to ACM: they lead nowhere from "
            "then on."
        )
    if account.settings.webmail.enabled:
        yield "enabled = true in [webmail]: the next apply would build it again."


def _stays(account: Opened, files: Sequence[str]) -> Iterator[str]:
    """Name what is not at AWS, or not ours to remove, and what its effect is from then on."""
    stack = account.stack
    if stack.webmail is not None:
        yield from _stays_of_webmail(account)
    if stack.domains:
        server = INBOUND.format(region=stack.region)
        yield (
            f"The DNS records: as long as the MX of {' and '.join(stack.domains)} is {server}, SES "
            "rejects all mail, and senders get it back. Point the MX to whoever receives the mail "
            "from now on, and remove DKIM, SPF and MAIL FROM with it."
        )
    if files:
        yield f"The files with the keys, which no longer open anything: {' '.join(files)}"
        yield "Their copies on the box at home and in mail clients, and the daemon itself."
