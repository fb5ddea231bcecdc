"""Calls that ask the disk of a Maildir: what one is, and who in this process has any under way.

A reload makes new mailboxes, and so does opening a lost ledger again, while a call may still hang
in the system. When the disk answers, the call is carried out all the same: it replaces a draft of
that name, renames it, or removes it. It cannot tell whose draft that is by then, so nobody begins
anything in that Maildir before.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


class Owner(Protocol):
    """Whose threads carry it out."""

    def do(self, call: DiskCall) -> None: ...


@dataclass(slots=True)
class DiskCall:
    """Something that is asked of a disk."""

    owner: Owner
    function: Callable[..., Any]
    args: tuple[Any, ...]
    release: Callable[[Any], object] | None = None
    given_up: bool = False
    """Nobody waits for it any more: the disk hangs until it has come to its end."""
    left: bool = False
    """Nobody waits for it any more: the disk is late until it has come to its end."""
    began: float | None = None
    """When a thread took it up, on the clock of its owner."""
    future: Future[Any] = field(default_factory=Future)


MOMENT = 0.2
"""Seconds."""


class Caller(Protocol):
    """Whoever asks the disk of a Maildir."""

    def holds_up(self) -> bool: ...


class RootCallers:
    """Those who ask one Maildir, for as long as anybody knows them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callers: weakref.WeakSet[Caller] = weakref.WeakSet()

    def join(self, caller: Caller) -> None:
        with self._lock:
            self._callers.add(caller)

    def hold_up(self, caller: Caller) -> bool:
        """Tell whether another one of them has something under way that is to be waited for."""
        with self._lock:
            if len(self._callers) < 2:  # as it nearly always is, and it is asked for each mail
                return False
            others = [other for other in self._callers if other is not caller]
        return any(other.holds_up() for other in others)

    def wait_a_moment(self, caller: Caller) -> None:
        """Wait for what the others have under way, if it is just coming to its end. Blocking."""
        end = time.monotonic() + MOMENT
        while self.hold_up(caller) and time.monotonic() < end:
            time.sleep(0.005)


_lock = threading.Lock()
_by_root: weakref.WeakValueDictionary[Path, RootCallers] = weakref.WeakValueDictionary()


def callers_of(root: Path) -> RootCallers:
    """Return those who ask the Maildir at this root, whatever configuration or ledger they know."""
    with _lock:
        callers = _by_root.get(root)
        if callers is None:
            callers = _by_root[root] = RootCallers()
        return callers
