"""Threads of one mailbox: what its disk does to them is done to nobody else.

A file system over a network may never answer, and no thread that asked it can be woken. So whatever
touches a Maildir is done in threads of its mailbox, and whoever asks for it waits for as long as
they get on. Once they do not, all further calls fail at once, until the disk answers again. Whoever
has others to serve waits for a moment only (`Asking`), and leaves the rest of the waiting to a
thread that has nothing else to do.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import TimeoutError as NotYetError
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from postamt_sync.delivery.disk_calls import DiskCall, RootCallers, callers_of
from postamt_sync.errors import TryLaterError
from postamt_sync.events import printable

MOST = 8
"""Threads of a mailbox: so many files are synced side by side, which a journal rewards."""
PATIENCE = 20.0
"""Seconds without any call coming to its end after which a disk counts as hanging."""
LATE = 1.0
"""Seconds without any call coming to its end after which nobody who serves others waits."""
LOOK_EVERY = 1.0
IDLE = 60.0
"""Seconds after which a thread with nothing to do ends."""

_ENDED = ("This delivery has ended.", "The mail is delivered by the next one.")

_T = TypeVar("_T")


class HangingDiskError(TryLaterError):
    """A disk does not answer."""


class LateError(HangingDiskError):
    """A disk has not answered yet. What was asked of it goes on, and may be waited for."""


class EndedError(HangingDiskError):
    """The ledger for which a disk is asked is closed."""


_Calls: TypeAlias = "queue.SimpleQueue[DiskCall | None]"
"""None ends the thread that takes it."""


class MailboxThreads:
    """Made as they are needed; none of them is waited for at the end of the process.

    What has nothing to do ends after a while, and at once when nobody knows its mailbox any more,
    as after a reload.
    """

    def __init__(
        self,
        name: str,
        *,
        patience: float = PATIENCE,
        most: int = MOST,
        clock: Callable[[], float] = time.monotonic,
        root: Path | None = None,
        over: Callable[[], bool] = lambda: False,
    ) -> None:
        """`name` is told where they hang, `patience` in seconds on `clock`, which is monotonic.

        `root` is the Maildir that they ask. Once `over` says so, nothing more is begun in it.
        """
        self._name = name
        self._most = most
        self._patience = patience
        self._late = min(LATE, patience)
        self._clock = clock
        self._calls: _Calls = queue.SimpleQueue()
        weakref.finalize(self, _dismiss, self._calls, most)
        self._lock = threading.Lock()
        self._here = threading.local()
        self._threads = 0
        self._open = 0
        """Calls that were asked for and have not come to their end."""
        self._given_up = 0
        """Those of them for which nobody waits, so that the disk hangs."""
        self._left = 0
        """Those of them for which nobody waits, so that the disk is late."""
        self._progress = clock()
        self._over = over
        self._callers = callers_of(root) if root is not None else RootCallers()
        self._callers.join(self)

    @property
    def is_here(self) -> bool:
        """Whether the thread that asks is one of these."""
        return getattr(self._here, "inside", False)

    @property
    def busy(self) -> int:
        """How many calls were asked for and have not come to their end, given up or not."""
        with self._lock:
            return self._open

    def hang(self) -> bool:
        """Tell whether nothing has come to its end for too long, or what was given up has not.

        So nothing new is begun before the last effect of what was given up, also by those who asked
        the same Maildir before.
        """
        return self._hang() or self._callers.hold_up(self)

    def holds_up(self) -> bool:
        """Tell whether others have to wait with this Maildir until what is under way has ended."""
        return self._hang() or (self.busy > 0 and self._over())

    def _hang(self) -> bool:
        with self._lock:
            late = self._open > 0 and self._clock() - self._progress > self._patience
            return late or self._given_up > 0

    def late(self) -> LateError | None:
        """Say so if nothing has come to its end for a while, or if the disk hangs."""
        with self._lock:
            waited = self._clock() - self._progress if self._open else 0.0
            is_late = waited > self._late or self._given_up or self._left
        if not is_late and not self._callers.hold_up(self):
            return None
        return LateError(*self._sentences)

    def call(
        self,
        function: Callable[..., _T],
        *args: Any,
        release: Callable[[_T], object] | None = None,
    ) -> _T:
        """Return what the function returns, or raise what it raises; HangingDiskError.

        What was given up may still be done later, whole. Then `release` is called with its result.
        """
        if self.is_here:
            return function(*args)
        result: _T = self.wait(self.begin(function, *args, release=release))
        return result

    def begin(
        self,
        function: Callable[..., _T],
        *args: Any,
        release: Callable[[_T], object] | None = None,
    ) -> DiskCall:
        """Have something done, of which the caller waits for the end; HangingDiskError."""
        if self._over():
            raise EndedError(*_ENDED)
        if self.hang():
            raise HangingDiskError(*self._sentences)
        call = DiskCall(self, function, args, release)
        self._begin(call)
        return call

    def wait(self, call: DiskCall, *, hurried: bool = False) -> Any:
        """Return what it returns, or raise what it raises; HangingDiskError once it is given up.

        `hurried`: LateError as soon as the disk is late, and the call may be waited for again.
        """
        while True:
            try:
                return call.future.result(min(LOOK_EVERY, self._late))
            except NotYetError:
                if call.future.done():  # the function's own
                    raise
            if hurried and (self.late() or self._is_late(call)):
                raise LateError(*self._sentences)
            if self.hang() and self._give_up(call):
                raise HangingDiskError(*self._sentences)

    def leave(self, call: DiskCall) -> None:
        """Wait no more for a call, which does no harm to others; its `release` is called."""
        with self._lock:
            if call.future.cancel():
                self._open -= 1
                return
            if not call.future.done():
                call.left = True
                self._left += 1
                return
        if call.release is not None and call.future.exception() is None:
            self.later(call.release, call.future.result(), hang=False)

    def later(self, function: Callable[..., Any], *args: Any, hang: bool = True) -> None:
        """Have something done when the disk answers; nobody waits for it or is told of its end.

        Until then the disk counts as one that hangs, or else as late.
        """
        if not self._over():
            self._begin(DiskCall(self, function, args, given_up=hang, left=not hang))

    def call_or_later(self, function: Callable[..., Any], *args: Any) -> None:
        """Have something done now, or where the disk hangs when it answers."""
        try:
            self.call(function, *args)
        except HangingDiskError:
            self.later(function, *args)

    def _begin(self, call: DiskCall) -> None:
        with self._lock:
            if self._threads < min(self._most, self._open + 1):
                self._start_thread()
            if self._open == 0:
                self._progress = self._clock()
            self._open += 1
            self._given_up += call.given_up
            self._left += call.left
        self._calls.put(call)

    def _start_thread(self) -> None:
        parts = (weakref.ref(self), self._calls, self._here)
        try:
            threading.Thread(target=_work, args=parts, name=self._name, daemon=True).start()
        except RuntimeError:  # as many tasks as this process may have
            if self._threads:
                return
            raise TryLaterError(
                f"There is no thread left for the disk of {printable(self._name)}.",
                "Raise TasksMax= of the service (systemctl edit postamt-sync); the mail waits.",
            ) from None
        self._threads += 1

    def _is_late(self, call: DiskCall) -> bool:
        """Tell whether this one takes too long, while others get on."""
        return call.began is not None and self._clock() - call.began > self._late

    def _give_up(self, call: DiskCall) -> bool:
        """Wait no longer for a call; False: it has just come to its end."""
        with self._lock:
            if call.future.done():
                return False
            if call.future.cancel():
                self._open -= 1
            else:
                call.given_up = True
                self._given_up += 1
            return True

    def may_end(self) -> bool:
        """Let a thread that found nothing to do end, unless something has just been asked for."""
        with self._lock:
            if self._open:
                return False
            self._threads -= 1
            return True

    def do(self, call: DiskCall) -> None:
        """Carry one call out, in a thread of this mailbox."""
        if not call.future.set_running_or_notify_cancel():
            return
        call.began = self._clock()
        result, raised = None, None
        try:
            result = self._carry_out(call)
        except BaseException as error:  # noqa: BLE001  raised where the result is waited for
            raised = error
        with self._lock:
            if not call.given_up and not call.left:
                self._open -= 1
                self._progress = self._clock()
                if raised is None:
                    call.future.set_result(result)
                else:
                    call.future.set_exception(raised)
                return
        if raised is None and call.release is not None:
            with contextlib.suppress(Exception):
                call.release(result)
        with self._lock:
            self._open -= 1
            self._given_up -= call.given_up
            self._left -= call.left
            self._progress = self._clock()

    def _carry_out(self, call: DiskCall) -> Any:
        if not self._over():
            return call.function(*call.args)
        raise EndedError(*_ENDED)

    @property
    def _sentences(self) -> tuple[str, str]:
        return (
            f"The disk of {printable(self._name)} does not answer.",
            "Look at its mount (findmnt, dmesg; for NFS, its server); the mail waits.",
        )


def _work(owner: weakref.ref[MailboxThreads], calls: _Calls, here: threading.local) -> None:
    """Do what is asked for. Between calls it keeps nobody alive: a call keeps its own mailbox."""
    here.inside = True
    while True:
        try:
            call = calls.get(timeout=IDLE)
        except queue.Empty:
            threads = owner()
            if threads is None or threads.may_end():
                return
            del threads
            continue
        if call is None:
            return
        call.owner.do(call)
        del call


def _dismiss(calls: _Calls, threads: int) -> None:
    for _ in range(threads):
        calls.put(None)
