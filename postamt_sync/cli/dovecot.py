"""`postamt-sync dovecot`: Dovecot's configuration for our mailboxes, and their passwords."""

from __future__ import annotations

import getpass
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from postamt_sync.aws.smtp import smtp_server
from postamt_sync.cli.dovecot_relay import missing_senders, relay
from postamt_sync.cli.dovecot_sendmail import sendmail
from postamt_sync.cli.in_force import complete
from postamt_sync.cli.options import ConfigPath, Debug, DovecotDirectory, known_mailbox
from postamt_sync.cli.verbs import end_without_verb
from postamt_sync.config import Settings, load
from postamt_sync.config.load import DEFAULT_PATH
from postamt_sync.errors import ExitCode, MisconfiguredError, UsageError
from postamt_sync.host.dovecot import managed_files
from postamt_sync.host.dovecot.conf import (
    configuration,
    mailboxes_file,
    passwords_file,
    relay_file,
    senders_file,
)
from postamt_sync.host.dovecot.description import (
    DovecotService,
    Version,
    installed_version,
    service_of,
    writable,
)
from postamt_sync.host.dovecot.passwd_files import (
    generated,
    has_line,
    hashed,
    mailboxes,
    other_forms,
    with_password,
)
from postamt_sync.host.dovecot.sendmail import sendmail_file
from postamt_sync.host.service.program import Program

user = typer.Typer(add_completion=False, rich_markup_mode=None)

Name = Annotated[
    str, typer.Argument(metavar="MAILBOX", help="The mailbox's name in the configuration.")
]
Generate = Annotated[
    bool, typer.Option("--generate", help="Generate a password, and show it this once.")
]


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@user.callback(invoke_without_command=True)
def users(context: typer.Context) -> None:
    """Give mailboxes their passwords.

    A password is asked for on a terminal, read from standard input, or generated;
    it is never on a command line. Dovecot applies a change at once.

    \b
    Examples:
      sudo postamt-sync dovecot user add thomas
      sudo postamt-sync dovecot user passwd thomas --generate
    """
    end_without_verb(context)


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
        if has_line(before, name) is new:
            verb = "passwd" if new else "add"
            raise UsageError(
                f"The mailbox {name!r} has {'a password already' if new else 'no password yet'}.",
                f"Use instead: postamt-sync dovecot user {verb} {name}",
            )
        password = generated() if generate else _asked(name)
        after = with_password(before, name, hashed(password), other_forms(password))
        managed_files.write(passwords, after, managed_files.SECRET)
    if generate:
        print(f"The password of {name}, shown this once: {password}")
    else:
        print(f"The password of {name} is set.")


def _asked(name: str) -> str:
    """Return a password typed twice on a terminal, or the first line of a pipe."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass(f"New password of {name}: ")
    if password != getpass.getpass("Once more: "):
        raise UsageError("The two passwords differ.", "Try again.")
    return password


app.add_typer(user, name="user")
app.command()(relay)
app.command()(sendmail)


@app.callback(invoke_without_command=True)
def dovecot(
    context: typer.Context,
    version: Annotated[
        Version | None,
        typer.Option(help="Dovecot's version; else that of the installed one.", show_default=False),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the files, not print them.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace edited files too; a copy is kept.")
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
    that someone else wrote or changed is replaced only with --force, and even then
    a copy is kept. Your own settings belong in local.conf beside it.

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
    place = directory.absolute()
    service = described(settings, place, submission=wanted)
    language = version or installed_version()
    if language is None:
        raise UsageError(
            "There is no Dovecot 2.3 or 2.4 here whose version could be taken.",
            "Name the version of the one that it is for: --version 2.4",
        )
    files = rendered(service, language, place)
    if not write:
        for path, text in files.items():
            print(f"# ===== {path}\n{text}")
        return ExitCode.OK
    write_files(files, place, force=force)
    _say_what_is_next(settings, service, place)
    return ExitCode.OK


def _sendmail(settings: Settings, directory: Path) -> str:
    """Return the command with which Sieve scripts send; empty if SES has no SMTP endpoint, or
    Dovecot's files cannot hold the command."""
    try:
        program = writable(Program.running().command, "path of this program")
        source = writable(Path(settings.source or DEFAULT_PATH).absolute(), "configuration")
        writable(directory, "directory of Dovecot")
    except MisconfiguredError:
        return ""
    if smtp_server(settings.aws.region) is None:
        return ""
    return f"{program} dovecot sendmail --config {source} --directory {directory}"


def described(settings: Settings, directory: Path, *, submission: bool) -> DovecotService:
    """Return what Dovecot has to know, including the command with which Sieve scripts send."""
    service = service_of(settings, submission=submission)
    return replace(service, sendmail=_sendmail(settings, directory) if service.lmtp else "")


def rendered(service: DovecotService, version: Version, directory: Path) -> dict[Path, str]:
    """Return the text of the files that follow from the configuration, by path."""
    conf = configuration(service, version, directory)
    return {
        directory / "dovecot.conf": managed_files.sealed(conf),
        mailboxes_file(directory): managed_files.sealed(mailboxes(service, version)),
    }


def write_files(files: dict[Path, str], directory: Path, *, force: bool) -> dict[Path, Path]:
    """Write the files that differ; return what replaced ones were kept as, by path.

    Raises UsageError if someone else's file would be replaced, unless `force`.
    """
    kept: dict[Path, Path] = {}
    with managed_files.alone(directory):
        before = {path: managed_files.read(path) for path in files}
        foreign = [path for path, text in before.items() if text and managed_files.edited(text)]
        if foreign and not force:
            raise UsageError(
                f"{' and '.join(map(str, foreign))} would be replaced, and someone else has "
                "written or changed what is there.",
                "Move your own settings to local.conf beside it, then write with --force: what is "
                "there is kept aside.",
            )
        for path, text in files.items():
            if before[path] == text:
                print(f"{path} is up to date.")
                continue
            if path in foreign:
                kept[path] = managed_files.keep_aside(path)
                print(f"{path} was kept as {kept[path]}")
            managed_files.write(path, text)
            print(f"{path} written.")
        for secret in (passwords_file(directory), senders_file(directory)):
            if managed_files.read(secret) is None:
                managed_files.write(secret, "", managed_files.SECRET)
    return kept


def _say_what_is_next(settings: Settings, service: DovecotService, directory: Path) -> None:
    passwords = managed_files.read(passwords_file(directory)) or ""
    for account in service.accounts:
        if not has_line(passwords, account.name):
            _say(f"No password yet: sudo postamt-sync dovecot user add {account.name}")
    missing = missing_senders(settings, directory) if service.relay else ()
    unread = managed_files.read(sendmail_file(directory)) is None
    if missing:
        _say(f"{', '.join(missing)} cannot send yet: sudo postamt-sync dovecot relay DIRECTORY")
    elif service.relay and managed_files.read(relay_file(directory)) is None:
        _say("No credentials for SES yet: sudo postamt-sync dovecot relay FILE")
    elif service.sendmail and unread:
        _say("Sieve cannot send vacation notes yet: sudo postamt-sync dovecot relay FILE")
    print("Next: sudo doveconf >/dev/null && sudo systemctl restart dovecot")


def _say(text: str) -> None:
    print(complete(text))
