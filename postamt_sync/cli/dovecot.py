"""`postamt-sync dovecot`: Dovecot's configuration for the configured mailboxes, and its logins."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from postamt_sync.bootstrap.key_place import KeyHints
from postamt_sync.cli.options import ConfigPath, Debug, DovecotDirectory, known_mailbox
from postamt_sync.config import load
from postamt_sync.errors import ExitCode, UsageError
from postamt_sync.host.dovecot import managed_files
from postamt_sync.host.dovecot.conf import (
    configuration,
    mailboxes_file,
    passwords_file,
    relay_configuration,
    relay_file,
    senders_file,
)
from postamt_sync.host.dovecot.description import (
    DovecotService,
    Version,
    installed_version,
    service_of,
)
from postamt_sync.host.dovecot.passwd_files import (
    generated,
    has_password,
    hashed,
    mailboxes,
    with_password,
    with_sender,
)
from postamt_sync.host.smtp_credentials import read_credentials

user = typer.Typer(add_completion=False, rich_markup_mode=None)

Name = Annotated[
    str, typer.Argument(metavar="MAILBOX", help="The mailbox's name in the configuration.")
]
Generate = Annotated[
    bool, typer.Option("--generate", help="Make a password up, and show it this once.")
]


app = typer.Typer(add_completion=False, rich_markup_mode=None)


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
        password = generated() if generate else _asked(name)
        after = with_password(before, name, hashed(password))
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


app.add_typer(user, name="user")
app.command()(relay)


@app.callback(invoke_without_command=True)
def dovecot(
    context: typer.Context,
    version: Annotated[
        Version | None,
        typer.Option(help="Dovecot's version; else that of the installed one.", show_default=False),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the files, do not print.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace edited files too; they are kept aside.")
    ] = False,
    submission: Annotated[
        bool | None,
        typer.Option(
            "--submission/--no-submission",
            help="Let clients send through Dovecot; else as home.submission says.",
            show_default=False,
        ),
    ] = None,
    directory: DovecotDirectory = Path("/etc/dovecot"),
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Render Dovecot's configuration for the configured mailboxes.

    Prints what --write would write: dovecot.conf and the list of mailboxes. A file
    that somebody else wrote, or changed, is only replaced with --force, and kept
    aside even then. Your own settings belong in local.conf beside it.

    \b
    Examples:
      postamt-sync dovecot --version 2.3
      sudo postamt-sync dovecot --write --submission
      sudo postamt-sync dovecot user add thomas
    """
    if context.invoked_subcommand is not None:
        return ExitCode.OK
    settings = load(config)
    wanted = settings.home.submission if submission is None else submission
    service = service_of(settings, submission=wanted)
    language = version or installed_version()
    if language is None:
        raise UsageError(
            "There is no Dovecot 2.3 or 2.4 here whose version could be taken.",
            "Name the version of the one that it is for: --version 2.4",
        )
    files = rendered(service, language, directory.absolute())
    if not write:
        for path, text in files.items():
            print(f"# ===== {path}\n{text}")
        return ExitCode.OK
    _write(files, directory.absolute(), force=force)
    _say_what_is_next(service, directory.absolute())
    return ExitCode.OK


def rendered(service: DovecotService, version: Version, directory: Path) -> dict[Path, str]:
    """Return the files that follow from the configuration, each with its text."""
    conf = configuration(service, version, directory)
    return {
        directory / "dovecot.conf": managed_files.sealed(conf),
        mailboxes_file(directory): managed_files.sealed(mailboxes(service, version)),
    }


def _write(files: dict[Path, str], directory: Path, *, force: bool) -> None:
    with managed_files.alone(directory):
        before = {path: managed_files.read(path) for path in files}
        foreign = [path for path, text in before.items() if text and managed_files.edited(text)]
        if foreign and not force:
            raise UsageError(
                f"{' and '.join(map(str, foreign))} would be replaced, and somebody else has "
                "written or changed what is there.",
                "Move your own settings to local.conf beside it, then write with --force: what is "
                "there is kept aside.",
            )
        for path, text in files.items():
            if before[path] == text:
                print(f"{path} is up to date.")
                continue
            if path in foreign:
                print(f"{path} was kept as {managed_files.keep_aside(path)}")
            managed_files.write(path, text)
            print(f"{path} written.")
        for secret in (passwords_file(directory), senders_file(directory)):
            if managed_files.read(secret) is None:
                managed_files.write(secret, "", managed_files.SECRET)


def _say_what_is_next(service: DovecotService, directory: Path) -> None:
    passwords = managed_files.read(passwords_file(directory)) or ""
    for account in service.accounts:
        if not has_password(passwords, account.name):
            print(f"No password yet: sudo postamt-sync dovecot user add {account.name}")
    if service.relay and managed_files.read(relay_file(directory)) is None:
        print("No credentials for SES yet: sudo postamt-sync dovecot relay FILE")
    print("Next: sudo doveconf >/dev/null && sudo systemctl restart dovecot")
