"""`postamt-sync service`: installs and removes the systemd units."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from postamt_sync import atomic_file
from postamt_sync.cli.help import man_page
from postamt_sync.cli.in_force import complete, typed
from postamt_sync.cli.options import ConfigPath, Debug, DryRun
from postamt_sync.cli.verbs import PROGRAM, SUMMARY, VERBS, end_without_verb
from postamt_sync.config import Settings, load
from postamt_sync.config.environment import FILE_VARIABLE
from postamt_sync.config.load import DEFAULT_PATH
from postamt_sync.errors import ExitCode, MisconfiguredError, UsageError
from postamt_sync.host.directories import held, make_open
from postamt_sync.host.service.certificate import Pair, webhook_host, webhook_pair
from postamt_sync.host.service.program import EXAMPLE, Program, shipped
from postamt_sync.host.service.service import (
    SystemdService,
    removal,
    runs_as_installed,
    systemctl,
)
from postamt_sync.host.service.steps import InstallStep
from postamt_sync.host.service.units import Machine
from postamt_sync.host.service.user import ask_dovecot, mail_user
from postamt_sync.regular_file import read_small

MANUALS = Path("/usr/share/man/man1")

app = typer.Typer(add_completion=False, rich_markup_mode=None)

User = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Who handles the mail; else home.mail_user, the Maildirs' owner, Dovecot's mail_uid.",
        show_default=False,
    ),
]


@app.callback(invoke_without_command=True)
def service(context: typer.Context) -> None:
    """Let systemd run the daemon: with few permissions, watched, and restarted.

    \b
    Examples:
      postamt-sync service install --dry-run
      sudo postamt-sync service install
      sudo postamt-sync service uninstall
    """
    end_without_verb(context)


@app.command()
def install(
    config: ConfigPath = None,
    user: User = "",
    start: Annotated[
        bool, typer.Option("--start/--no-start", help="Start it, or only at the next boot.")
    ] = True,
    dry_run: DryRun = False,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Install the units, and start the daemon.

    Also creates the user and directories. Run it again after an upgrade, to restart
    the daemon, and after every change to the mailboxes or to webhook.listen: the
    service may write to the configured Maildirs and to nothing else. A file that you
    edited is never overwritten; your own settings belong in
    /etc/systemd/system/postamt-sync.service.d/50-local.conf.

    \b
    Examples:
      postamt-sync service install --dry-run
      sudo postamt-sync service install
    """
    if not dry_run:
        require_root()
    settings = settings_or_example(config, dry_run=dry_run)
    steps = install_steps(settings, user, start=start)
    _carry_out(steps, dry_run=dry_run)
    if not dry_run:
        print(
            f"All well. See how it is doing: systemctl status postamt-sync, sudo {typed('status')}"
        )
    return ExitCode.OK


@app.command()
def uninstall(
    config: ConfigPath = None,  # noqa: ARG001 - what is removed is known without it
    dry_run: DryRun = False,
    debug: Debug = False,  # noqa: ARG001
) -> ExitCode:
    """Stop the daemon and remove its units. Mail, ledger and configuration stay.

    Needs no configuration: the files that "install" wrote are marked.

    \b
    Examples:
      postamt-sync service uninstall --dry-run
      sudo postamt-sync service uninstall
    """
    if not dry_run:
        require_root()
    steps = removal()
    _carry_out(steps, dry_run=dry_run)
    if not steps:
        print("The service is not installed here.")
    print("Configuration, keys, ledger, mail and the mail's user stay as they are.")
    return ExitCode.OK


@app.command()
def certificate(
    chain: Annotated[Path, typer.Argument(metavar="FULLCHAIN", help="The renewed chain, PEM.")],
    key: Annotated[Path, typer.Argument(metavar="PRIVKEY", help="Its key, PEM.")],
    config: ConfigPath = None,
    if_ours: Annotated[
        bool, typer.Option("--if-ours", help="Do nothing if it is not for the webhook's host.")
    ] = False,
    debug: Debug = False,  # noqa: ARG001
) -> ExitCode:
    """Copy a renewed certificate to where the service may read it.

    Renewal hooks call this: "install" sets up certbot's, and any other client can
    run /etc/postamt-sync/certificate-renewed. The running daemon uses the new
    certificate at once. A broken pair is refused, and the old one stays.

    \b
    Examples:
      sudo postamt-sync service certificate fullchain.pem privkey.pem
      sudo postamt-sync service certificate --if-ours fullchain.pem privkey.pem
    """
    settings = _load(config)
    target = webhook_pair(settings)
    if target is None:
        raise MisconfiguredError(
            "The configuration names no certificate for the webhook.",
            "Set webhook.tls_certificate and webhook.tls_key.",
        )
    pair = Pair(chain, key)
    pair.check()
    host = webhook_host(settings)
    if not pair.is_for(host):
        if if_ours:
            print(f"Not for {host}: left alone.")
            return ExitCode.OK
        raise MisconfiguredError(
            f"The certificate {chain} is not for {host}, the host of webhook.public_url.",
            "Give the one of this host, or correct public_url.",
        )
    pair.copy_to(target, mail_user(settings, "", ask_dovecot).group)
    print(f"Copied to {target.chain} and {target.key}.")
    return ExitCode.OK


def install_steps(settings: Settings, user: str = "", *, start: bool = True) -> list[InstallStep]:
    """Return the steps that install the service for this configuration."""
    return _service(settings, user).install(start=start, running=runs_as_installed())


def _service(settings: Settings, wanted: str) -> SystemdService:
    user = mail_user(settings, wanted, ask_dovecot)
    machine = Machine(Program.running(), user.name, user.group, _systemd_version())
    print(f"user    {user.name}: {user.why}")
    return SystemdService(settings, machine, manual=_manual())


def _manual() -> str:
    """Return the man page, "" if the system's package manager has installed it."""
    packaged = any(MANUALS.glob("postamt-sync.1*"))
    return "" if packaged else man_page(PROGRAM, SUMMARY, VERBS)


def _load(config: Path | None) -> Settings:
    """Load what the service will see: from our environment, only the path of the file."""
    place = os.environ.get(FILE_VARIABLE, "")
    return load(config, {FILE_VARIABLE: place} if place else {})


def is_example(path: Path, example: str) -> bool:
    """Whether a configuration is still the unchanged example."""
    with contextlib.suppress(OSError):  # which is reported when it is loaded
        return read_small(path, links=True) == example.encode()
    return False


def settings_or_example(config: Path | None, *, dry_run: bool) -> Settings:
    """Load the configuration; if there is none yet, put the example there."""
    path = config or Path(os.environ.get(FILE_VARIABLE) or DEFAULT_PATH)
    example = shipped(EXAMPLE)
    hint = "Set bucket, region and mailboxes in it, then run this again."
    if not path.exists():
        if dry_run:
            raise MisconfiguredError(
                f"There is no {path} yet.", "Without --dry-run the example is put there."
            )
        make_open(path.parent)
        with held(path.parent) as place:
            atomic_file.write(place / path.name, example, atomic_file.PUBLIC)
        raise MisconfiguredError(f"There was no {path}; the example is there now.", hint)
    if is_example(path, example):
        raise MisconfiguredError(f"{path} is still the example.", hint)
    return _load(config)


def _carry_out(steps: Sequence[InstallStep], *, dry_run: bool) -> None:
    for step in steps:
        print(complete(str(step)), flush=True)
        if not dry_run:
            step.do()


def require_root(remedy: str = "Put sudo before it, or look with --dry-run.") -> None:
    """Raise PostamtError unless root runs this on a machine with systemd."""
    if os.geteuid() != 0:
        raise UsageError("Only root may do this.", remedy)
    if not Path("/run/systemd/system").is_dir():
        raise MisconfiguredError(
            "This machine was not started by systemd.",
            "Let whatever starts services here run: postamt-sync run",
        )


def _systemd_version() -> int:
    words = systemctl("--version").split()
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0
