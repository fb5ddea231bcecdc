"""`postamt-sync dovecot relay`: the SES users as which Dovecot sends."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from postamt_sync.aws.smtp import smtp_server
from postamt_sync.bootstrap.key_file import smtp_credentials
from postamt_sync.bootstrap.key_place import KeyHints
from postamt_sync.bootstrap.open_stack import stack_of
from postamt_sync.bootstrap.sender_policy import senders
from postamt_sync.cli.options import ConfigPath, Debug, DovecotDirectory, known_mailbox
from postamt_sync.config import Settings, load
from postamt_sync.config.command import CommandLine
from postamt_sync.errors import MisconfiguredError, UsageError
from postamt_sync.events import printable
from postamt_sync.host.dovecot import managed_files
from postamt_sync.host.dovecot.conf import (
    no_relay_configuration,
    relay_configuration,
    relay_file,
    senders_file,
)
from postamt_sync.host.dovecot.passwd_files import (
    has_line,
    senders_by_bootstrap,
    with_sender,
    without_sender,
)
from postamt_sync.host.dovecot.sendmail import accounts_of, as_text, sendmail_file
from postamt_sync.host.service.user import group_of
from postamt_sync.host.smtp_credentials import SmtpCredentials, read_credentials


def relay(
    credentials: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|DIRECTORY",
            help="The file that bootstrap wrote for mail clients, or the directory with all.",
        ),
    ],
    mailbox: Annotated[
        str,
        typer.Option(metavar="NAME", help="Only for this mailbox, not the household."),
    ] = "",
    directory: DovecotDirectory = Path("/etc/dovecot"),
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> None:
    """Give Dovecot the credentials for sending mail through SES.

    Clients then send through Dovecot with the password that they read with. AWS
    decides what the credentials may send from. With smtp_per_mailbox = true each
    mailbox has its own: name the directory that bootstrap put them into. For a
    single mailbox, use --mailbox; Dovecot applies those at once.

    \b
    Examples:
      sudo postamt-sync dovecot relay ./smtp-credentials
      sudo postamt-sync dovecot relay ./keys
      sudo postamt-sync dovecot relay ./keys/smtp-credentials-anna --mailbox anna
    """
    settings = load(config)
    own = settings.stack.smtp_per_mailbox
    place = directory.absolute()
    if mailbox:
        known_mailbox(settings, mailbox)
        if credentials.is_dir():
            credentials /= smtp_credentials(mailbox)
        found = _read(settings, credentials)
        with managed_files.alone(place):
            _write_senders(place, {mailbox: found}, by_bootstrap=own)
            _write_sendmail(settings, place)
    elif own:
        every = _all(settings, credentials)
        with managed_files.alone(place):
            # First give each its own, then take away what all shared.
            _write_senders(place, every, by_bootstrap=True, only=True)
            changed = _write_relay(place, no_relay_configuration())
            _write_sendmail(settings, place)
        if changed:
            print("Nobody sends as the household any more after: sudo systemctl restart dovecot")
    else:
        if credentials.is_dir():
            credentials /= smtp_credentials()
        found = _read(settings, credentials)
        with managed_files.alone(place):
            changed = _write_relay(place, relay_configuration(found))
            print(f"{relay_file(place)} written: the household sends as {found.user}.")
            _back_to_household(settings, place, found)
            _write_sendmail(settings, place)
        if changed:
            print("Next: sudo systemctl restart dovecot")


def missing_senders(settings: Settings, directory: Path) -> tuple[str, ...]:
    """Return the mailboxes that should have an SES user of their own, but have none here."""
    there = managed_files.read(senders_file(directory)) or ""
    return tuple(name for name in _names(settings) if not has_line(there, name))


def _names(settings: Settings) -> tuple[str, ...]:
    """Return the mailboxes for which bootstrap creates SES users."""
    return tuple(sender.name for sender in senders(stack_of(settings, "")))


def _read(settings: Settings, path: Path) -> SmtpCredentials:
    return read_credentials(path, KeyHints(Path(settings.source).absolute()).smtp_files())


def _all(settings: Settings, directory: Path) -> dict[str, SmtpCredentials]:
    """Read the credentials of every mailbox. Raises PostamtError if one is missing."""
    if not directory.is_dir():
        raise UsageError(
            f"{printable(str(directory))} is no directory, and each mailbox has credentials of its "
            "own (smtp_per_mailbox).",
            "Name the directory that bootstrap put them into, or one mailbox with --mailbox.",
        )
    found: dict[str, SmtpCredentials] = {}
    for name in _names(settings):
        path = directory / smtp_credentials(name)
        if not path.exists():
            make = CommandLine(settings.source, directory).typed("bootstrap apply")
            raise MisconfiguredError(
                f"{printable(str(path))} is not there, so {name} could not send.",
                f"Copy it from where bootstrap was run; it is made by: {make}",
            )
        found[name] = _read(settings, path)
        twin = next((n for n, c in found.items() if n != name and c.user == found[name].user), "")
        if twin:
            raise MisconfiguredError(
                f"The files of {twin} and {name} hold the same user, so one could send as the "
                "other.",
                "Put back what bootstrap wrote.",
            )
    return found


def _write_senders(
    directory: Path,
    every: Mapping[str, SmtpCredentials],
    *,
    by_bootstrap: bool,
    only: bool = False,
) -> None:
    """Write a line for each mailbox; with `only`, remove users that bootstrap made for others."""
    path = senders_file(directory)
    text = managed_files.read(path) or ""
    if only:
        for name in senders_by_bootstrap(text):
            text = text if name in every else without_sender(text, name)
    for name, found in every.items():
        text = with_sender(text, name, found.user, found.password, by_bootstrap=by_bootstrap)
    managed_files.write(path, text, managed_files.SECRET)
    for name, found in every.items():
        print(f"{path} written: {name} sends as {found.user}.")


def _write_relay(directory: Path, text: str) -> bool:
    """Write the household's credentials; return whether they have changed."""
    path = relay_file(directory)
    before = managed_files.read(path)
    managed_files.write(path, text, managed_files.ROOTS_ONLY)
    return before != text


def _write_sendmail(settings: Settings, directory: Path) -> None:
    """Write the same credentials for Sieve scripts, if any mailbox gets its mail over LMTP."""
    server = smtp_server(settings.aws.region)
    if server is None or all(mailbox.delivery != "lmtp" for mailbox in settings.mailboxes):
        return
    relay_conf = managed_files.read(relay_file(directory)) or ""
    lines = managed_files.read(senders_file(directory)) or ""
    accounts = accounts_of(relay_conf, lines, server.host, server.starttls[0])
    readers = group_of(settings.home.mail_user)
    path = sendmail_file(directory)
    managed_files.write(path, as_text(accounts), managed_files.SECRET, readers)
    print(f"{path} written: Sieve sends with the same.")


def _back_to_household(settings: Settings, directory: Path, found: SmtpCredentials) -> None:
    """Let mailboxes whose users were made by bootstrap send as the household too.

    They keep their lines, with the household's credentials: Dovecot reads this list at once, but
    the other file only on restart. Users that a person gave to a mailbox stay as they are.
    """
    path = senders_file(directory)
    text = managed_files.read(path) or ""
    known = {mailbox.name for mailbox in settings.mailboxes}
    former = senders_by_bootstrap(text)
    for name in former:
        if name in known:
            text = with_sender(text, name, found.user, found.password, by_bootstrap=True)
        else:
            text = without_sender(text, name)
    if former:
        managed_files.write(path, text, managed_files.SECRET)
        names = ", ".join(shlex.quote(name) for name in former if name in known)
        print(f"{path} written: {names or 'nobody else'} too.")
