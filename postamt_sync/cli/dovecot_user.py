"""`postamt-sync dovecot user add | passwd`: who may log in, with which password."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from postamt_sync.cli.options import ConfigPath, Debug, DovecotDirectory
from postamt_sync.config import Mailbox, Settings, load
from postamt_sync.errors import ExitCode, UsageError
from postamt_sync.events import printable
from postamt_sync.host.dovecot import managed_files, password_hash
from postamt_sync.host.dovecot.conf import passwords_file
from postamt_sync.host.dovecot.passwd_files import has_password, with_password

user = typer.Typer(add_completion=False, rich_markup_mode=None)

Name = Annotated[
    str, typer.Argument(metavar="MAILBOX", help="The mailbox's name in the configuration.")
]
Generate = Annotated[
    bool, typer.Option("--generate", help="Make a password up, and show it this once.")
]


@user.callback(invoke_without_command=True)
def users(context: typer.Context) -> None:
    """Give mailboxes their passwords.

    A password is asked for on a terminal, read from standard input, or made up;
    it never stands on a command line. Dovecot takes a change up at once.

    \b
    Examples:
      sudo postamt-sync dovecot user add thomas
      sudo postamt-sync dovecot user passwd thomas --generate
    """
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


@user.command()
def add(
    name: Name,
    generate: Generate = False,
    directory: DovecotDirectory = Path("/etc/dovecot"),
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> None:
    """Give a mailbox its first password.

    \b
    Examples:
      sudo postamt-sync dovecot user add thomas
      sudo postamt-sync dovecot user add thomas --generate
      pass show mail/thomas | sudo postamt-sync dovecot user add thomas
    """
    _set(name, config, directory, generate=generate, new=True)


@user.command()
def passwd(
    name: Name,
    generate: Generate = False,
    directory: DovecotDirectory = Path("/etc/dovecot"),
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> None:
    """Change a mailbox's password.

    \b
    Examples:
      sudo postamt-sync dovecot user passwd thomas
      sudo postamt-sync dovecot user passwd thomas --generate
    """
    _set(name, config, directory, generate=generate, new=False)


def known_mailbox(settings: Settings, name: str) -> Mailbox:
    """Return the mailbox of this name; raises UsageError where there is none."""
    known = {mailbox.name: mailbox for mailbox in settings.mailboxes}
    if name not in known:
        raise UsageError(
            f"There is no mailbox {printable(name)!r} in the configuration.",
            f"Name one of: {', '.join(known)}",
        )
    return known[name]


def _set(name: str, config: Path | None, directory: Path, *, generate: bool, new: bool) -> None:
    known_mailbox(load(config), name)
    passwords = passwords_file(directory.absolute())
    with managed_files.alone(passwords.parent):
        before = managed_files.read(passwords) or ""
        if has_password(before, name) is new:
            verb = "passwd" if new else "add"
            raise UsageError(
                f"The mailbox {name!r} has {'a password already' if new else 'no password yet'}.",
                f"Use instead: postamt-sync dovecot user {verb} {name}",
            )
        password = password_hash.generated() if generate else _asked(name)
        after = with_password(before, name, password_hash.hashed(password))
        managed_files.write(passwords, after, managed_files.SECRET)
    if generate:
        print(f"The password of {name}, shown this once: {password}")
    else:
        print(f"The password of {name} is set.")


def _asked(name: str) -> str:
    """Return a password from the terminal, asked for twice, or the first line of a pipe."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass(f"New password of {name}: ")
    if password != getpass.getpass("Once more: "):
        raise UsageError("The two passwords differ.", "Try again.")
    return password
