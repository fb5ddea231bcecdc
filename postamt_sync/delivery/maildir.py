"""One mailbox's Maildir: drafts in `tmp/`, published by rename, in the mailbox's root or a folder.

This file knows the durable steps of one copy; `publisher.py` puts them in order for many copies
and ties them to the ledger. Paths are made of the configured root, fixed names and our own file
names, never of anything that a message or a key contains.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from postamt_sync.delivery.disk import Disk, HeldDirectory, disk_trouble
from postamt_sync.delivery.draft import Draft
from postamt_sync.delivery.filename import parse_name, part_of
from postamt_sync.delivery.filesystem_sync import FilesystemWatch
from postamt_sync.delivery.folder import PARTS, folder_name, make_parts, make_root, subscribe
from postamt_sync.delivery.mailbox_threads import MailboxThreads
from postamt_sync.delivery.maildir_scan import existing_folder, our_names
from postamt_sync.delivery.marker import (
    MARKER,
    MailboxVanishedError,
    Marker,
    read_marker,
    unlike,
    write_marker,
)
from postamt_sync.errors import TryLaterError

_T = TypeVar("_T")


class Maildir:
    """The Maildir at `root`. Blocking; methods raise TryLaterError.

    Everything is done below a descriptor of the root, which is the one that bears our marker:
    where the disk is unmounted meanwhile nothing is written under its mount point.
    """

    hands_over = False
    """Whether another server writes the mailbox's files, which may be slow."""
    swept_after = 24 * 3600.0
    """Seconds after which a missing draft proves nothing: Dovecot sweeps `tmp/` after 36 hours."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self.root = root
        self.marker: Marker | None = None
        """What the marker must be; None: it is not looked at. Set by who knows the ledger."""
        self.mailbox = "NAME"  # whose it is, as a person types it
        self.threads: MailboxThreads | None = None  # None: the thread that asks does it
        self._disk = disk
        self._tmp = root / "tmp"
        self._durable: set[str] = set()
        """Folders whose directory entries have been synced through this object."""

    def call(
        self,
        function: Callable[..., _T],
        *args: object,
        release: Callable[[_T], object] | None = None,
    ) -> _T:
        """Have something done that may touch the disk; raises HangingDiskError if it hangs."""
        if self.threads is None:
            return function(*args)
        return self.threads.call(function, *args, release=release)

    def clean_up(self, function: Callable[..., object], *args: object) -> None:
        """Like `call`, for what fails quietly: a disk that hangs has it done when it answers."""
        if self.threads is None:
            function(*args)
        else:
            self.threads.call_or_later(function, *args)

    def batches(self, items: Iterable[_T], size: int = 1000) -> Iterator[list[_T]]:
        """Yield what comes of touching the disk, so many at a time; raises as `call` does."""
        coming = iter(items)
        batch: list[_T]
        while batch := self.call(list, itertools.islice(coming, size)):
            yield batch

    def create(self) -> None:
        """Create root, missing parents and `tmp new cur`, all durable on return.

        Only for a root that the ledger does not know: a known root that is missing is an unmounted
        disk, and creating it would hide the mail under the mount point.
        """
        try:
            make_root(self._disk, self.root)
        except OSError as error:
            raise disk_trouble(error, self.root) from error

    def check(self) -> None:
        """Raise MailboxVanishedError if the root is not there in full."""
        for path in (self.root, *(self.root / part for part in PARTS)):
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

    def find_marker(self) -> Marker | None:
        """Return the root's marker, None if it has none."""
        try:
            with self._disk.held(self.root) as at:
                return read_marker(at)
        except OSError as error:
            self.check()
            raise disk_trouble(error, self.root / MARKER) from error

    def put_marker(self, marker: Marker) -> None:
        """Write the root's marker in place of the one before; durable on return."""
        try:
            with self._disk.held(self.root) as at:
                write_marker(self._disk, at, marker)
        except OSError as error:
            raise disk_trouble(error, self.root / MARKER) from error
        self.marker = marker

    def mark(self) -> Marker | None:
        """Write the next generation into the root's marker, durably; None where it has none.

        Whoever calls this is alone with the marker of this root.
        """
        if self.marker is None:
            return None
        with self.held() as at:
            try:
                found = read_marker(at) or self.marker
                newest = max(found.generation, self.marker.generation)
                self.marker = Marker(self.marker.id, newest + 1)
                write_marker(self._disk, at, self.marker)
            except OSError as error:
                raise disk_trouble(error, self.root / MARKER) from error
        return self.marker

    def begin(self, stem: str, at: HeldDirectory | None = None) -> Draft:
        """Start a copy; raises MailboxVanishedError where that is why it cannot be.

        `at` is what `held` gave for several in a row.
        """
        try:
            with self.held(at) as root:
                return Draft(self._disk, self._tmp / stem, root)
        except MailboxVanishedError:
            raise
        except TryLaterError:
            self.check()
            raise

    def draft_size(self, stem: str) -> int | None:
        """Return the bytes of `tmp/<stem>`, None if it is not there: then it was published."""
        with self.held() as at:
            try:
                return os.stat(Path("tmp", stem), dir_fd=at.fd, follow_symlinks=False).st_size
            except FileNotFoundError:
                return None
            except OSError as error:
                raise disk_trouble(error, self.root) from error

    def tmp_inode(self) -> int:
        """Return which directory `tmp/` is, 0 if that cannot be said.

        Another directory in its place proves nothing about what lay in this one.
        """
        try:
            return self._tmp.stat().st_ino
        except OSError:
            return 0

    def discard(self, stem: str) -> None:
        """Remove `tmp/<stem>` if the disk lets us."""
        try:
            self._disk.unlink(self._tmp / stem)
        except OSError:
            return

    def sync_tmp(self) -> None:
        """Return once the drafts' directory entries are durable."""
        with self.held() as at:
            self._sync(self._tmp, at)

    def open_folder(self, folder: str) -> None:
        """Create a missing folder ("" is INBOX), durable on return, and subscribe it that once."""
        if not folder:
            return
        self.check()
        name = folder_name(folder)
        path = self.root / f".{name}"
        with self.held() as at:
            try:
                if not (path / "new").is_dir():
                    # First subscribed, then made: a crash in between subscribes it on the next
                    # attempt, and one that is there is never subscribed against its owner's wish.
                    subscribe(name, self.root, self._disk, at)
                    self._disk.make_directory(path, at)
                    make_parts(self._disk, path, at)
                elif not (path / "cur").is_dir():
                    make_parts(self._disk, path, at)
                elif name in self._durable:
                    return
                else:
                    # Someone made it, perhaps we just before a crash: is it durable?
                    self._disk.sync_directory(path, at)
                self._disk.sync_directory(self.root, at)
                self._durable.add(name)
            except OSError as error:
                raise disk_trouble(error, path) from error

    def has_folder(self, folder: str) -> bool:
        """Tell whether a folder ("" is INBOX) is there."""
        try:
            return self._part(folder, "new").is_dir()
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

    def publish(self, stem: str, folder: str, name: str, at: HeldDirectory | None = None) -> None:
        """Rename `tmp/<stem>` into the part of the folder that its name belongs in.

        Durable after `sync_published` of that part. `at` is what `held` gave for several in a row.
        """
        target = self._part(folder, part_of(name))
        with self.held(at) as root:
            try:
                self._disk.rename(self._tmp / stem, target / name, root)
            except OSError as error:
                raise disk_trouble(error, target) from error

    def watch(self, files: int) -> FilesystemWatch | None:
        """Begin to watch the root's file system; None: so many files are better synced each."""
        try:
            return self._disk.watch_filesystem(self.root, files)
        except OSError as error:
            raise disk_trouble(error, self.root) from error

    def sync_published(self, folder: str, part: str = "new") -> None:
        """Return once renames from `tmp/` into this part of the folder are durable on both sides.

        A folder that has been deleted meanwhile took the mail with it, as its owner wished.
        """
        target = self._part(folder, part)
        with self.held() as at:
            try:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    self._disk.sync_directory(target, at)
            except OSError as error:
                raise disk_trouble(error, target) from error
            self._sync(self._tmp, at)

    def holds(self, stem: str) -> bool:
        """Look for a mail in all folders, wherever a client moved it; slow, for the rare doubt.

        Raises for a folder that cannot be read: the mail may lie in it.
        """
        return stem in self.stems()

    def has_our_mail(self) -> bool:
        """Tell whether any mail of ours lies in any folder; raises as `holds` does."""
        try:
            return any(parse_name(ours) for _, _, ours in our_names(self.root))
        except OSError as error:
            raise disk_trouble(error, self.root) from error

    def stems(self) -> set[str]:
        """Return the stems of all mails of ours that lie in any folder; raises as `holds` does."""
        try:
            names = (parse_name(ours) for _, _, ours in our_names(self.root))
            return {name.stem for name in names if name is not None}
        except OSError as error:
            raise disk_trouble(error, self.root) from error

    @contextlib.contextmanager
    def held(self, at: HeldDirectory | None = None) -> Iterator[HeldDirectory]:
        """Hold the root, which bears our marker if it is known by one; `at`: it is held already."""
        if at is not None:
            yield at
            return
        with contextlib.ExitStack() as stack:
            try:
                at = stack.enter_context(self._disk.held(self.root))
                found = read_marker(at) if self.marker else None
            except OSError as error:
                self.check()
                raise disk_trouble(error, self.root) from error
            if self.marker is not None and (found is None or found.id != self.marker.id):
                self.check()
                raise unlike(self.root, self.mailbox, found)
            yield at

    def _part(self, folder: str, part: str) -> Path:
        return (self.root / f".{folder_name(folder)}" if folder else self.root) / part

    def _sync(self, directory: Path, at: HeldDirectory) -> None:
        try:
            self._disk.sync_directory(directory, at)
        except OSError as error:
            raise disk_trouble(error, directory) from error
