"""`postamt-sync demo`: the whole system on this machine, without an AWS account."""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from postamt_sync.cli.options import Debug
from postamt_sync.cli.streams import has_failed
from postamt_sync.demo.emulator import need_emulator
from postamt_sync.errors import ExitCode, UsageError

Once = Annotated[bool, typer.Option("--once", help="Exit after the tour instead of staying up.")]
Keep = Annotated[
    Path | None,
    typer.Option(
        "--keep",
        metavar="DIR",
        help="Keep configuration, ledger, log and Maildirs in this new or empty directory.",
        show_default=False,
    ),
]
InABrowser = Annotated[bool, typer.Option("--webmail", help="Show the same mail in a browser too.")]


def demo(
    once: Once = False,
    keep: Keep = None,
    webmail: InABrowser = False,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Watch mail travel: announced, fetched, in a Maildir, readable over IMAP.

    Needs no AWS account, no root, no configuration and no network: an emulated
    AWS, the real daemon, sample mail, one lost notification and one crash, all on
    loopback. Exits 0 if every mail arrived once and unchanged, else 1.

    \b
    Examples:
      postamt-sync demo
      postamt-sync demo --webmail
      postamt-sync demo --once --keep ./demo
    """
    need_emulator()
    # Imported late: they need what the extra `demo` installs, and say so above if it is missing.
    from postamt_sync.demo.display import Display  # noqa: PLC0415
    from postamt_sync.demo.tour import play  # noqa: PLC0415

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 must not end the tour
    display = Display(sys.stdout, unread=lambda: has_failed(sys.stdout))
    with ExitStack() as stack:
        if keep is None:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="postamt-demo-"))
            root = Path(directory)
        else:
            root = _empty(keep)
        well = asyncio.run(play(root, display, once=once, webmail=webmail))
    return ExitCode.OK if well else ExitCode.UNDELIVERED


def _empty(directory: Path) -> Path:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        used = any(directory.iterdir())
    except OSError as error:
        raise UsageError(
            f"The directory {directory} cannot be used: {error.strerror}.",
            "Name a new or an empty one after --keep.",
        ) from error
    if used:
        raise UsageError(
            f"The directory {directory} is not empty.",
            "Name a new or an empty one after --keep.",
        )
    return directory.resolve()
