"""`postamt-sync demo`: the whole system on this machine, without an AWS account."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Self

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
    with Interruption() as interruption:
        return _play(interruption, keep, once=once, webmail=webmail)


def _play(interruption: Interruption, keep: Path | None, *, once: bool, webmail: bool) -> ExitCode:
    # Imported late: they need the extra `demo`; `need_emulator` has checked that it is installed.
    from postamt_sync.demo.display import Display  # noqa: PLC0415

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 must not end the tour
    display = Display(sys.stdout, unread=lambda: has_failed(sys.stdout))
    with display.busy("Unpacking"):
        from postamt_sync.demo.tour import play  # noqa: PLC0415

    with ExitStack() as stack:
        if keep is None:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="postamt-demo-"))
            root = Path(directory)
        else:
            root = _empty(keep)
        try:
            well = asyncio.run(interruption.until(play(root, display, once=once, webmail=webmail)))
        finally:
            interruption.ignore()
    return ExitCode.OK if well else ExitCode.UNDELIVERED


class Interruption:
    """Handles Ctrl-C while entered: the first one counts, and cleaning up is always completed.

    With Python's own handler, a second Ctrl-C would end the process in the middle of that.
    """

    def __init__(self) -> None:
        self._asked = False
        self._cancel: Callable[[], object] = lambda: None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _heard(self, *_: object) -> None:
        if not self._asked:
            self._asked = True
            self._cancel()

    def ignore(self) -> None:
        """Ignore Ctrl-C from now on, so that the directory is removed completely."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def until(self, work: Coroutine[Any, Any, bool]) -> bool:
        """Run the work. Raises KeyboardInterrupt after Ctrl-C, once the work has cleaned up."""
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        if self._asked:
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


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
