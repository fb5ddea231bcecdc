"""One mailbox's Maildir: drafts in `tmp/`, published by rename, in the mailbox's root or a folder.

This file knows the durable steps of one copy; `publisher.py` puts them in order for many copies
and ties them to the ledger. Paths are made of the configured root, fixed names and our own file
names, never of anything that a message or a key contains.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.delivery.disk import Disk, disk_trouble
from postamt_sync.delivery.filename import parse_name
from postamt_sync.delivery.folder import folder_name
from postamt_sync.delivery.maildir_scan import existing_folder, our_names
from postamt_sync.errors import TryLaterError

_PARTS = ("tmp", "new", "cur")


@dataclass(frozen=True, slots=True)
class Written:
    """A complete, synced file `tmp/<stem>`; its directory entry is not durable yet.

    `size` counts the bytes, `vsize` the bytes with every line end as CRLF (Dovecot's S and W).
    """

    stem: str
    size: int
    vsize: int


class MailboxVanishedError(TryLaterError):
    """A Maildir that was there once is not: most likely its disk is not mounted."""


class Draft:
    """One copy being written into `tmp/<stem>`. Blocking; one thread at a time."""

    def __init__(self, disk: Disk, path: Path) -> None:
        """Create the file anew: what an interrupted attempt left under this name is discarded."""
        self._disk = disk
        self._path = path
        self._size = 0
        self._bare_lf = 0
        self._after_cr = False
        try:
            try:
                self._fd = disk.create(path)
            except FileExistsError:
                disk.unlink(path)
                self._fd = disk.create(path)
        except OSError as error:
            raise disk_trouble(error, path) from error

    def write(self, chunk: bytes) -> None:
        """Append bytes as they are."""
        try:
            self._disk.write(self._fd, chunk)
        except OSError as error:
            raise disk_trouble(error, self._path) from error
        self._size += len(chunk)
        self._bare_lf += chunk.count(b"\n") - chunk.count(b"\r\n")
        if self._after_cr and chunk.startswith(b"\n"):
            self._bare_lf -= 1
        if chunk:
            self._after_cr = chunk.endswith(b"\r")

    def finish(self, received_at: float) -> Written:
        """Set the time, sync and close. On return the bytes are durable, the entry is not.

        Raises TryLaterError; the file must then be discarded and fetched anew, because a second
        sync may claim what the first could not do.
        """
        try:
            self._disk.set_times(self._fd, received_at)
            self._disk.sync(self._fd)
            on_disk = self._disk.size(self._fd)
            self._close()
        except OSError as error:
            raise disk_trouble(error, self._path) from error
        if on_disk != self._size:
            raise TryLaterError(
                f"{self._path} has {on_disk} bytes where {self._size} were written.",
                "Look at the disk and at dmesg; the mail is fetched again.",
            )
        return Written(self._path.name, self._size, self._size + self._bare_lf)

    def discard(self) -> None:
        """Close and remove the file, as far as the disk lets us; the next attempt starts anew."""
        with contextlib.suppress(OSError):
            self._close()
        with contextlib.suppress(OSError):
            self._disk.unlink(self._path)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._disk.close(fd)


class Maildir:
    """The Maildir at `root`. Blocking; methods raise TryLaterError."""

    swept_after = 24 * 3600.0
    """Seconds after which a missing draft proves nothing: Dovecot sweeps `tmp/` after 36 hours."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self.root = root
        self._disk = disk
        self._durable: set[str] = set()
        """Folders whose directory entries have been synced through this object."""

    def create(self) -> None:
        """Create root, missing parents and `tmp new cur`, all durable on return.

        Only for a root that the ledger does not know: a known root that is missing is an unmounted
        disk, and creating it would hide the mail under the mount point.
        """
        try:
            line = [self.root, *self.root.parents]
            there = next(path for path in line if path.is_dir())
            # We may have made it just before a crash; where we may not read we have made nothing.
            with contextlib.suppress(PermissionError):
                self._disk.sync_directory(there.parent)
            for path in reversed(line[: line.index(there)]):
                self._disk.make_directory(path)
                self._disk.sync_directory(path.parent)
            self._make_parts(self.root)
        except OSError as error:
            raise disk_trouble(error, self.root) from error

    def check(self) -> None:
        """Raise MailboxVanishedError if the root is not there in full."""
        for path in (self.root, *(self.root / part for part in _PARTS)):
            try:
                there = path.is_dir()
            except OSError as error:
                raise disk_trouble(error, path) from error
            if not there:
                raise MailboxVanishedError(
                    f"The Maildir {self.root} has vanished ({path} is missing).",
                    "Mount its disk; the mail waits and nothing is created in its place. "
                    f"If it is gone for good: mkdir -p -m 700 {self.root}/{{tmp,new,cur}}",
                )

    def begin(self, stem: str) -> Draft:
        """Start a copy; raises MailboxVanishedError where that is why it cannot be."""
        try:
            return Draft(self._disk, self.root / "tmp" / stem)
        except TryLaterError:
            self.check()
            raise

    def draft_size(self, stem: str) -> int | None:
        """Return the bytes of `tmp/<stem>`, None if it is not there: then it was published."""
        try:
            return (self.root / "tmp" / stem).stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_trouble(error, self.root) from error

    def tmp_inode(self) -> int:
        """Return which directory `tmp/` is, 0 if that cannot be said.

        Another directory in its place proves nothing about what lay in this one.
        """
        try:
            return (self.root / "tmp").stat().st_ino
        except OSError:
            return 0

    def discard(self, stem: str) -> None:
        """Remove `tmp/<stem>` if the disk lets us."""
        try:
            self._disk.unlink(self.root / "tmp" / stem)
        except OSError:
            return

    def sync_tmp(self) -> None:
        """Return once the drafts' directory entries are durable."""
        self._sync(self.root / "tmp")

    def open_folder(self, folder: str) -> None:
        """Create a missing folder ("" is INBOX), durable on return, and subscribe it that once."""
        if not folder:
            return
        self.check()
        name = folder_name(folder)
        path = self.root / f".{name}"
        try:
            if not (path / "new").is_dir():
                # First subscribed, then made: a crash in between subscribes it on the next attempt,
                # and a folder that is there is never subscribed against its owner's wish.
                self._subscribe(name)
                self._disk.make_directory(path)
                self._make_parts(path)
            elif name in self._durable:
                return
            else:
                # Somebody made it, perhaps we just before a crash: nobody says it is durable.
                self._disk.sync_directory(path)
            self._disk.sync_directory(self.root)
            self._durable.add(name)
        except OSError as error:
            raise disk_trouble(error, path) from error

    def has_folder(self, folder: str) -> bool:
        """Tell whether a folder ("" is INBOX) is there."""
        try:
            return self._new(folder).is_dir()
        except OSError as error:
            raise disk_trouble(error, self.root) from error

    def existing_folder(self, wanted: str) -> str:
        """Return the folder that is called so, whatever its case, "" where there is none.

        `wanted` is foreign text and meets no path: it is compared with the folders that are there.
        Links are none: what they lead to may lie on another disk.
        """
        try:
            return existing_folder(self.root, wanted)
        except OSError as error:
            self.check()
            raise disk_trouble(error, self.root) from error

    def publish(self, stem: str, folder: str, name: str) -> None:
        """Rename `tmp/<stem>` into the folder's `new/`; durable after `sync_published`."""
        target = self._new(folder)
        try:
            self._disk.rename(self.root / "tmp" / stem, target / name)
        except OSError as error:
            raise disk_trouble(error, target) from error

    def sync_published(self, folder: str) -> None:
        """Return once renames from `tmp/` into the folder are durable on both sides.

        A folder that has been deleted meanwhile took the mail with it, as its owner wished.
        """
        target = self._new(folder)
        try:
            there = target.is_dir()
        except OSError as error:
            raise disk_trouble(error, target) from error
        if there:
            self._sync(target)
        self.sync_tmp()

    def holds(self, stem: str) -> bool:
        """Look for a mail in all folders, wherever a client moved it; slow, for the rare doubt.

        Raises for a folder that cannot be read: the mail may lie in it.
        """
        try:
            return any(
                (parsed := parse_name(ours)) is not None and parsed.stem == stem
                for _, _, ours in our_names(self.root)
            )
        except OSError as error:
            raise disk_trouble(error, self.root) from error

    def _new(self, folder: str) -> Path:
        return (self.root / f".{folder_name(folder)}" if folder else self.root) / "new"

    def _sync(self, directory: Path) -> None:
        try:
            self._disk.sync_directory(directory)
        except OSError as error:
            raise disk_trouble(error, directory) from error

    def _make_parts(self, directory: Path) -> None:
        for part in _PARTS:
            self._disk.make_directory(directory / part)
        self._disk.sync_directory(directory)

    def _subscribe(self, name: str) -> None:
        subscriptions = self.root / "subscriptions"
        try:
            text = subscriptions.read_bytes()
        except FileNotFoundError:
            text = b""
        known = text.split(b"\n")
        # Dovecot's second format of this file begins with a version line and separates by tabs.
        entry = name.replace(".", "\t") if known[0] == b"V\t2" else name
        if entry.encode() not in known:
            # An edited file may lack its last line end: ours must not run on from that line.
            self._disk.append_line(subscriptions, f"\n{entry}" if known[-1] else entry)
