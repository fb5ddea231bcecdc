"""`postamt-sync join`: makes this machine the box, from the bundle that setup made."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from postamt_sync.cli.bootstrap.stack import may_ask
from postamt_sync.cli.console import open_console, paragraph
from postamt_sync.cli.join_box import install_all, show_logins, watch_first_mail
from postamt_sync.cli.options import Debug
from postamt_sync.cli.service import require_root
from postamt_sync.cli.typed_text import utf8
from postamt_sync.errors import ExitCode, TryLaterError, UsageError
from postamt_sync.events import printable
from postamt_sync.host.service.program import Program
from postamt_sync.setup.bundle import (
    MAKE_ANOTHER,
    Bundle,
    WrongPassphraseError,
    open_bundle,
    read_bundle,
    remove_bundle,
)
from postamt_sync.setup.join_lock import join_lock
from postamt_sync.setup.passphrase import new_passphrase, read_passphrase

_TRIES = 3


def join(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The file that setup made.")],
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace files of others too; copies are kept."),
    ] = False,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Make this machine the box: configuration, keys, service, Dovecot, logins, and
    a first mail that arrives while you watch.

    Asks for the passphrase that setup showed, or takes it as the first line of
    standard input. The file is deleted once it has been used. Interrupted anywhere
    and run again, it goes on where it was.

    \b
    Examples:
      sudo postamt-sync join postamt-sync.bundle
      sudo postamt-sync join postamt-sync.bundle < passphrase.txt
    """
    require_root(f"Type: sudo postamt-sync join {shlex.quote(printable(str(bundle), 4096))}")
    data = read_bundle(bundle)
    opened = _opened(data)
    carry_in(opened, open_console(), force=force, used=lambda: remove_bundle(bundle, data))
    return ExitCode.OK


def carry_in(bundle: Bundle, console: Console, *, force: bool, used: Callable[[], None]) -> None:
    """Install everything, call `used` to say that the bundle was used, and watch the first mail."""
    told = "Another join is running on this machine. Waiting for it to end."
    with join_lock(waiting=lambda: paragraph(console, told)):
        settings, passwords = install_all(bundle, console, force=force)
        used()
    if bundle.dovecot:
        show_logins(settings, passwords, console)
    if bundle.first_key:
        watch_first_mail(settings, bundle.first_key, passwords, console)
    paragraph(console, "All well. Mail comes home from now on: sudo postamt-sync status")


def can_become_root() -> bool:
    """Whether we are root, or can run commands as root with sudo."""
    return os.geteuid() == 0 or shutil.which("sudo") is not None


def join_here(bundle: Bundle, path: Path, console: Console) -> None:
    """Join right after setup, on the same machine, using sudo if necessary."""
    if os.geteuid() == 0:
        require_root()
        carry_in(bundle, console, force=False, used=lambda: None)
        return
    passphrase = new_passphrase()
    bundle.write(path, passphrase)
    command = ["sudo", str(Program.running().command), "join", str(path)]
    paragraph(console, "The rest needs root:")
    console.print(Text(f"  {printable(shlex.join(command), 4096)}"), soft_wrap=True)
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, input=f"{passphrase}\n", text=True, check=False
        )
    except FileNotFoundError:
        raise UsageError(
            "There is no sudo on this machine.", "Type as root: postamt-sync setup"
        ) from None
    finally:
        path.unlink(missing_ok=True)  # only the command that has just ended knew its passphrase
    if done.returncode:
        raise TryLaterError(
            "The box is not ready yet; see above.",
            "Fix that, then go on with: postamt-sync setup (for root to do this part: postamt-sync "
            "setup --elsewhere)",
        )


def _opened(data: bytes) -> Bundle:
    if not may_ask():
        return open_bundle(data, _checked(sys.stdin.readline()))
    for left in reversed(range(_TRIES)):
        typed: str = typer.prompt("Passphrase", hide_input=True)
        try:
            return open_bundle(data, _checked(utf8(typed)))
        except (UsageError, WrongPassphraseError) as error:
            if not left:
                raise
            print(error)
    raise AssertionError


def _checked(typed: str) -> str:
    try:
        return read_passphrase(typed)
    except ValueError as error:
        raise UsageError(
            f"That is not the passphrase. {error}",
            f"Type it as setup showed it. {MAKE_ANOTHER}",
        ) from None
