"""`postamt-sync dovecot sendmail`: what Dovecot runs when a Sieve script sends a mail."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from postamt_sync.cli.options import ConfigPath, Debug, DovecotDirectory
from postamt_sync.config import Settings, load
from postamt_sync.errors import UsageError
from postamt_sync.host.dovecot.sendmail import read_accounts, send, sendmail_file
from postamt_sync.host.mail_client import address_of
from postamt_sync.mail.routing import Addressee, Routes


def sendmail(
    recipients: Annotated[
        list[str] | None, typer.Argument(metavar="ADDRESS...", help="The recipients.")
    ] = None,
    sender: Annotated[
        str, typer.Option("-f", metavar="ADDRESS", help="MAIL FROM; <> for none.")
    ] = "",
    ignore_dots: Annotated[  # noqa: ARG001 - a dot never ends the mail here
        bool, typer.Option("-i", help="Ignored, for compatibility: it is always so.")
    ] = False,
    directory: DovecotDirectory = Path("/etc/dovecot"),
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> None:
    """Send the mail on standard input through SES. The credentials are those that
    dovecot relay has put beside Dovecot's files.

    Dovecot runs this when a Sieve script sends mail: a vacation note goes out as
    the user of the mailbox whose address it comes from. Exits 78 if SES refuses it,
    75 if SES may accept it later.

    \b
    Examples:
      postamt-sync dovecot sendmail -f anna@example.com -- clara@example.net <note
    """
    settings = load(config)
    if not recipients:
        raise UsageError("No recipient is named.", "Name addresses after --")
    accounts = read_accounts(sendmail_file(directory.absolute()))
    address, mailbox = _whose(settings, sender.removeprefix("<").removesuffix(">"))
    send(accounts, mailbox, address, recipients, sys.stdin.buffer.read())


def _whose(settings: Settings, sender: str) -> tuple[str, str]:
    """Return MAIL FROM and the mailbox it belongs to; both empty for the null reverse path.

    Mail for a mailbox without an address reaches Sieve under the mailbox's name.
    """
    if not sender:
        return "", ""
    for mailbox in settings.mailboxes:
        if mailbox.name == sender:
            return address_of(settings, mailbox) or sender, mailbox.name
    routes = Routes(Addressee(m.name, m.addresses, m.default) for m in settings.mailboxes)
    (name,) = routes.mailboxes([sender])
    return sender, name
