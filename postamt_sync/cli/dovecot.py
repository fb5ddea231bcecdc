"""`postamt-sync dovecot`: Dovecot's configuration for the configured mailboxes, and its logins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from postamt_sync.cli.dovecot_relay import relay
from postamt_sync.cli.dovecot_user import user
from postamt_sync.cli.options import ConfigPath, Debug, DovecotDirectory
from postamt_sync.config import load
from postamt_sync.errors import ExitCode, UsageError
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
)
from postamt_sync.host.dovecot.passwd_files import has_password, mailboxes

app = typer.Typer(add_completion=False, rich_markup_mode=None)
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
                print(f"{path} is as it should be.")
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
