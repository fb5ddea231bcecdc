"""The steps of installing and removing the service, which can be shown or carried out.

Each describes itself in one line. One that fails raises MisconfiguredError; earlier steps stay
done, and running all of them again completes the rest.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from postamt_sync.errors import MisconfiguredError
from postamt_sync.events import printable
from postamt_sync.host import directories
from postamt_sync.host.service.certificate import Pair
from postamt_sync.host.service.sealed_files import FileState, SealedFile, unwritable

COMMAND_SECONDS = 960
"""The longest that a command may run: more than the unit's TimeoutStartSec."""


class InstallStep(Protocol):
    """One line of a plan."""

    def __str__(self) -> str: ...

    def do(self) -> None:
        """Carry it out."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write a file."""

    file: SealedFile

    def __str__(self) -> str:
        return f"write   {self.file.path}"

    def do(self) -> None:
        self.file.write()


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave a path alone, and say why."""

    path: Path
    why: str
    is_up_to_date: bool = False

    def __str__(self) -> str:
        return f"leave   {printable(str(self.path))}: {self.why}"

    def do(self) -> None:
        return


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a file of ours, and its drop-in directory if that is now empty."""

    path: Path

    def __str__(self) -> str:
        return f"remove  {self.path}"

    def do(self) -> None:
        try:
            with directories.held(self.path.parent) as place:
                (place / self.path.name).unlink(missing_ok=True)
            drop_ins = self.path.parent
            if drop_ins.name.startswith("postamt-sync") and not any(drop_ins.iterdir()):
                drop_ins.rmdir()
        except OSError as error:
            raise unwritable(self.path, error) from error


@dataclass(frozen=True, slots=True)
class Make:
    """Create a directory and its missing parents for the mail's user; existing ones stay."""

    path: Path
    user: str

    def __str__(self) -> str:
        return f"make    {printable(str(self.path))} for {self.user}"

    def do(self) -> None:
        try:
            directories.make(self.path, self.user)
        except KeyError:
            raise MisconfiguredError(
                f"There is no user {self.user}.", f"Create it: useradd --system {self.user}"
            ) from None
        except OSError as error:
            raise unwritable(self.path, error) from error


@dataclass(frozen=True, slots=True)
class Take:
    """Copy a certificate and its key to where the service may read them."""

    pair: Pair
    target: Pair
    group: str

    def __str__(self) -> str:
        return f"copy    {self.pair.chain} and its key to {self.target.chain.parent}"

    def do(self) -> None:
        self.pair.copy_to(self.target, self.group)


@dataclass(frozen=True, slots=True)
class Run:
    """Run a system command."""

    command: Sequence[str]

    def __str__(self) -> str:
        return f"run     {shlex.join(self.command)}"

    def do(self) -> None:
        line = shlex.join(self.command)
        try:
            done = subprocess.run(  # noqa: S603 - fixed words and sealed paths
                self.command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MisconfiguredError(
                f"{line} could not be run: {error}.", "Try it by hand."
            ) from error
        if done.returncode:
            said = printable(done.stderr.strip().splitlines()[0]) if done.stderr.strip() else ""
            last = self.command[-1]
            unit = last if last.endswith((".service", ".socket")) else "postamt-sync.service"
            raise MisconfiguredError(
                f"{line} failed: {said or f'exit code {done.returncode}'}",
                f"Look at: sudo journalctl --unit {unit} --lines 30",
            )


def to_write(file: SealedFile) -> InstallStep:
    """Return the step that installs this file, as things are now."""
    match file.state():
        case FileState.SAME:
            return Leave(file.path, "up to date", is_up_to_date=True)
        case FileState.EDITED:
            return Leave(
                file.path, "was edited; move it away and install again to get the shipped one"
            )
        case _:
            return Write(file)


def to_remove(file: SealedFile) -> InstallStep | None:
    """Return the step that removes this file; None if it does not exist."""
    try:
        state = file.state()
    except (MisconfiguredError, PermissionError):
        return Leave(file.path, "only root can look at it")
    match state:
        case FileState.MISSING:
            return None
        case FileState.EDITED:
            return Leave(file.path, "was edited; remove it by hand")
        case _:
            return Remove(file.path)
