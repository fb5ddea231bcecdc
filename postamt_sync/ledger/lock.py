"""One courier per state directory: a lock that ends with its process, however that ends.

The lock's file holds one line for people and for other processes, in the form of `_LINE`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import re
import stat
import time
from pathlib import Path
from typing import Self

from postamt_sync.errors import OtherUserError, TryLaterError
from postamt_sync.events import printable
from postamt_sync.ledger.as_owner import as_owner_of
from postamt_sync.ledger.open_file import OpenFile


def check_access(path: Path) -> None:
    """Raise OtherUserError if a path in the state directory is closed to this user by its owner.

    A path that is missing, or cannot be used for another reason, is not refused here.
    """
    try:
        found = path.stat()
    except PermissionError:
        raise OtherUserError(
            f"User {os.geteuid()}, who runs this, may not look into {path.parent}, where the "
            "ledger is."
        ) from None
    except OSError:
        return
    wanted = os.R_OK | os.W_OK | (os.X_OK if stat.S_ISDIR(found.st_mode) else 0)
    if found.st_uid != os.geteuid() and not os.access(path, wanted, effective_ids=True):
        try:
            owner = pwd.getpwuid(found.st_uid).pw_name
        except KeyError:
            owner = f"user {found.st_uid}"
        raise OtherUserError(
            f"{path} belongs to {owner}, and user {os.geteuid()}, who runs this, may not use it."
        )


DAEMON = "run"
"""The verb of the daemon."""
_LINE = re.compile(r"postamt-sync (?P<verb>[a-z]+), process \d+, since .+", re.ASCII)
_SOMEBODY = "another process"
_WAIT = "Wait until it has ended, or stop it: two at once would deliver mail twice."
_INSTEAD = (
    "The daemon does this by itself: every poll looks for new mail, and when it starts it goes "
    "through the whole bucket. To have that done now: sudo systemctl restart postamt-sync. To see "
    "how far it is: postamt-sync status"
)


class CourierLock:
    """Holds `<state_dir>/courier.lock` while entered. The file says who holds it."""

    def __init__(self, state_dir: Path, verb: str) -> None:
        """`verb` is what this process was started as, such as "run" or "sync"."""
        self._path = state_dir / "courier.lock"
        self._verb = verb
        self._fd = -1

    def __enter__(self) -> Self:
        """Take the lock, or raise TryLaterError, which names the holder.

        From then on `file` tells whether the lock still counts: if another file is in its place,
        that is another lock.
        """
        check_access(self._path.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            with as_owner_of(self._path.parent):
                fd = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise TryLaterError(
                f"The lock {self._path} cannot be opened ({error.strerror}).",
                "It must be a plain file that belongs to this user (ls -l); remove anything else.",
            ) from error
        try:
            is_ours = _locked(fd)
        except OSError as error:
            os.close(fd)
            raise TryLaterError(
                f"The lock {self._path} cannot be taken ({error.strerror}).",
                "Its file system has no locks: put state_dir on a local disk.",
            ) from error
        if not is_ours:
            os.close(fd)
            holder = self.holder(self._path.parent) or _SOMEBODY
            beside_the_daemon = self._verb == "sync" and _verb_of(holder) == DAEMON
            raise TryLaterError(
                f"Mail in {self._path.parent} is being delivered already, by {holder}.",
                _INSTEAD if beside_the_daemon else _WAIT,
            )
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        try:
            self.file = OpenFile.of(self._path)
        except TryLaterError:
            os.close(fd)
            raise
        said = f"postamt-sync {self._verb}, process {os.getpid()}, since {since}"
        with contextlib.suppress(OSError):  # a full disk: the lock counts even if it says nothing
            os.ftruncate(fd, 0)
            os.pwrite(fd, said.encode(), 0)
        self._fd = fd
        return self

    def __exit__(self, *_: object) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):  # a dying disk: closing the file ends the lock
                os.ftruncate(fd, 0)
            with contextlib.suppress(OSError):
                os.close(fd)

    @staticmethod
    def holder(state_dir: Path) -> str | None:
        """Return the line of who delivers from this state directory now, None if nobody does."""
        try:
            fd = os.open(state_dir / "courier.lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            with contextlib.suppress(OSError):
                if said := printable(os.pread(fd, 200, 0).decode(errors="replace")):
                    return said
            return _SOMEBODY
        except OSError:  # this file system has no locks, so nobody can hold one
            return None
        finally:
            os.close(fd)
        return None


def _verb_of(holder: str) -> str:
    line = _LINE.fullmatch(holder)
    return line["verb"] if line else ""


def _locked(fd: int) -> bool:
    # `holder` takes a shared lock for an instant, so a single refusal proves nothing.
    for _ in range(5):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False
