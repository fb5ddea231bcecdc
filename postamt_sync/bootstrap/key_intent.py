"""The intent to create a key, durable before IAM is called: it proves whose a stray key is.

AWS reveals a key's secret once. A run that is killed between IAM's answer and writing the file
leaves a key that nobody can use, but that looks like one that a person created in the console and
typed into a mail client. This file tells them apart: `.credentials.pending` beside `credentials`
says which keys existed when IAM was called, and when that was. The new key replaces it, by a
rename, before anybody learns of the key; so while the intent is still there, nobody has the secret.
"""

from __future__ import annotations

import datetime as dt
import errno
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from postamt_sync import atomic_file
from postamt_sync.bootstrap.key_file import (
    KeyFile,
    pending_path,
    replace_file,
    small_text,
)
from postamt_sync.errors import TryLaterError
from postamt_sync.events import printable
from postamt_sync.owners_rights import make_directories, on_the_way_to

WITHIN = dt.timedelta(minutes=4)
"""How long after the intent IAM may still create the key: our retries, one request's timeouts, and
some margin."""
_SKEW = dt.timedelta(seconds=2)
"""IAM's times are whole seconds, from the clocks of several machines."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A request for a key, about to be sent: `before` are the ids of the user's keys at that time,
    `asked` is AWS's time."""

    owner: str
    before: tuple[str, ...]
    asked: dt.datetime

    def covers(self, key_id: str, made: dt.datetime) -> bool:
        """Whether the key can be the one that was requested."""
        new = key_id not in self.before
        return new and self.asked - _SKEW <= made <= self.asked + WITHIN


@dataclass(frozen=True, slots=True)
class PendingKey:
    """The file beside a credentials file: an intent, or the key that was created."""

    file: KeyFile

    @property
    def path(self) -> Path:
        return pending_path(self.file.path)

    def intent(self, *, alone: bool = False) -> Intent | None:
        """Return the intent of an interrupted run for this user; None if there is none or the run
        is still going. With `alone`, the caller holds the lock, so no run can be."""
        try:
            told = json.loads(small_text(self.path))
            found = Intent(
                str(told["owner"]),
                tuple(map(str, told["before"])),
                dt.datetime.fromisoformat(told["asked"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if found.asked.tzinfo is None or found.owner != self.file.owner:
            return None
        return found if alone or not self._is_busy() else None

    def begin(self, before: Sequence[str], asked: dt.datetime) -> None:
        """Make the intent durable; this also proves that the directory is writable."""
        told = {"owner": self.file.owner, "before": list(before), "asked": asked.isoformat()}
        replace_file(self.path, json.dumps(told) + "\n")

    def drop(self) -> None:
        """Remove the intent: IAM refused, or the key was deleted again. Durable on return."""
        with on_the_way_to(self.path.parent):
            self.path.unlink(missing_ok=True)
            atomic_file.sync(self.path.parent)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs from creating keys in this directory. Raises TryLaterError."""
        place = self.path.parent
        try:
            make_directories(place)
            with on_the_way_to(place):
                handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise TryLaterError(
                f"The directory {printable(str(place))} cannot be used: {error.strerror}.",
                "Name another one with --out.",
            ) from error
        try:
            if not _locked(handle):
                raise TryLaterError(
                    f"Another run is making a key in {printable(str(place))}.",
                    "Wait until it has ended, and run this again.",
                )
            yield
        finally:
            os.close(handle)

    def _is_busy(self) -> bool:
        try:
            handle = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return False
        try:
            return not _locked(handle)
        finally:
            os.close(handle)


def _locked(handle: int) -> bool:
    """Take the lock, which lasts until the handle is closed; False if another process has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some network file systems cannot lock directories: there, nobody is kept out.
        return error.errno not in (errno.EAGAIN, errno.EACCES)
    return True
