"""`postamt-sync dovecot relay FILE`: who Dovecot is at SES when it hands on mail."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from postamt_sync.bootstrap.key_hints import KeyHints
from postamt_sync.cli.dovecot_user import known_mailbox
from postamt_sync.cli.options import ConfigPath, Debug, DovecotDirectory
from postamt_sync.config import load
from postamt_sync.host.dovecot import managed_files
from postamt_sync.host.dovecot.conf import relay_configuration, relay_file, senders_file
from postamt_sync.host.dovecot.passwd_files import with_sender
from postamt_sync.host.smtp_credentials import read_credentials


def relay(
    credentials: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The file that bootstrap wrote for mail clients."),
    ],
    mailbox: Annotated[
        str,
        typer.Option(metavar="NAME", help="For this mailbox alone, not for the household."),
    ] = "",
    directory: DovecotDirectory = Path("/etc/dovecot"),
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> None:
    """Give Dovecot the credentials with which it hands mail to SES.

    They come from a file and go into one that root, or Dovecot's login process, can
    read. A mailbox with an SES user of its own sends as that one; what it may send
    from is for that user's IAM policy to say.

    \b
    Examples:
      sudo postamt-sync dovecot relay ./smtp-credentials
      sudo postamt-sync dovecot relay ./anna-credentials --mailbox anna
    """
    settings = load(config)
    if mailbox:
        known_mailbox(settings, mailbox)
    found = read_credentials(credentials, KeyHints(Path(settings.source).absolute()).smtp_files())
    place = directory.absolute()
    with managed_files.alone(place):
        if mailbox:
            path = senders_file(place)
            before = managed_files.read(path) or ""
            after = with_sender(before, mailbox, found.user, found.password)
            managed_files.write(path, after, managed_files.SECRET)
        else:
            path = relay_file(place)
            managed_files.write(path, relay_configuration(found), managed_files.ROOTS_ONLY)
    print(f"{path} written: {mailbox or 'the household'} sends as {found.user}.")
    if not mailbox:
        print("Next: sudo systemctl restart dovecot")
