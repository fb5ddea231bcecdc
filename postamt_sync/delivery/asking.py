"""How long the steps of a group wait for a disk: for as long as it takes, or for a moment only.

A group of mails goes on without those of a disk that is late. What was asked of that disk goes on
too, and whoever goes on with its mails finds it again under the same key.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from postamt_sync.delivery.disk_calls import DiskCall
from postamt_sync.delivery.mailbox_threads import HangingDiskError, LateError
from postamt_sync.delivery.maildir import Maildir

_T = TypeVar("_T")


class Asking:
    """Asks the disks of mailboxes.

    `hurried` raises LateError where one is late, and what was asked of it can be asked for again.
    With `leaves` it is left to itself instead, and that is a HangingDiskError like any.
    """

    def __init__(
        self,
        *,
        hurried: bool = False,
        leaves: bool = False,
        begun: dict[Hashable, DiskCall] | None = None,
    ) -> None:
        self._hurried = hurried
        self._leaves = leaves
        self._begun: dict[Hashable, DiskCall] = {} if begun is None else begun

    def patient(self) -> Asking:
        """Return one that waits for as long as it takes, also for what this one has asked."""
        return Asking(begun=self._begun)

    def start(
        self, maildir: Maildir, key: Hashable, function: Callable[..., object], *args: object
    ) -> None:
        """Begin what will be asked for under this key; raises HangingDiskError."""
        key = (maildir.root, key)
        if maildir.threads is not None and key not in self._begun:
            self._begun[key] = maildir.threads.begin(function, *args)

    def ask(
        self,
        maildir: Maildir,
        key: Hashable,
        function: Callable[..., _T],
        *args: object,
        release: Callable[[_T], object] | None = None,
    ) -> _T:
        """Have something done that may touch the disk, unless it was begun under this key before.

        Raises as the function does, and HangingDiskError.
        """
        threads = maildir.threads
        if threads is None or threads.is_here:
            return function(*args)
        key = (maildir.root, key)
        call = self._begun.pop(key, None)
        if call is None:
            if self._hurried and not threads.hang() and (late := threads.late()) is not None:
                raise HangingDiskError(late.problem, late.hint) if self._leaves else late
            call = threads.begin(function, *args, release=release)
        try:
            result: _T = threads.wait(call, hurried=self._hurried)
        except LateError as late:
            if self._leaves:
                threads.leave(call)
                raise HangingDiskError(late.problem, late.hint) from None
            self._begun[key] = call
            raise
        return result
