"""The progress of a pass: on a terminal a bar with counts, speed and time left, else plain
lines."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from postamt_sync.app.sync import SyncProgress
from postamt_sync.config.byte_rate import shown_rate
from postamt_sync.plural import count

LINE_EVERY = 10.0
"""Seconds between lines if there is no terminal."""
MEASURED_OVER = 10.0
"""Seconds. Short, so that the speed shown is the current one, without the time for listing."""
ROOM_FOR_A_BAR = 78


class PassProgress:
    """Shows the progress of a pass on standard error; use as a context manager."""

    def __init__(
        self,
        *,
        enabled: bool,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or Console(stderr=True)
        self._clock = clock
        self._speed = Speed(clock)
        self.on_terminal = enabled and self._console.is_terminal
        self._enabled = enabled
        self._last_line = clock()
        bar: list[ProgressColumn] = [BarColumn(bar_width=10)]
        self._roomy = self._console.width >= ROOM_FOR_A_BAR
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            *(bar if self._roomy else ()),
            MofNCompleteColumn(),
            TextColumn("{task.fields[bytes]}{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
            disable=not self.on_terminal,
        )
        self._task = self.bar.add_task("listing", total=None, bytes="", rate="")

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def show(self, progress: SyncProgress) -> None:
        """Show how far the pass has come."""
        self._speed.note(progress)
        if self.on_terminal:
            self._draw(progress)
        elif self._enabled and self._clock() - self._last_line >= LINE_EVERY:
            self._last_line = self._clock()
            print(self._line(progress), file=sys.stderr, flush=True)

    def _draw(self, progress: SyncProgress) -> None:
        if progress.listing:
            self.bar.update(self._task, completed=progress.listed, total=None)
            return
        self.bar.update(
            self._task,
            description="delivering",
            completed=progress.done,
            total=max(progress.todo, progress.done),
            bytes=f"{progress.bytes / 1e6:.1f} MB " if self._roomy else "",
            rate=f"{self._speed.mails:.0f}/s {self._bytes(progress, ' of ')}",
        )

    def _line(self, progress: SyncProgress) -> str:
        if progress.listing:
            return f"listing: {count(progress.listed, 'object')}"
        return (
            f"delivering: {progress.done} of {max(progress.todo, progress.done)} mails, "
            f"{progress.bytes / 1e6:.1f} MB, {self._speed.mails:.0f} mails/s, "
            f"{self._bytes(progress, ', limited to ')}"
        )

    def _bytes(self, progress: SyncProgress, limited: str) -> str:
        shown = shown_rate(self._speed.bytes)
        return f"{shown}{limited}{shown_rate(progress.limit)}" if progress.limit else shown


class Speed:
    """The measured speed of late: mails, and bytes over the network, a second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._noted: deque[tuple[float, int, int]] = deque()

    def note(self, progress: SyncProgress) -> None:
        """Note the current progress, and forget what is older than MEASURED_OVER."""
        now = self._clock()
        self._noted.append((now, progress.done, progress.received))
        while len(self._noted) > 2 and self._noted[1][0] <= now - MEASURED_OVER:
            self._noted.popleft()

    @property
    def mails(self) -> float:
        return self._of(1)

    @property
    def bytes(self) -> float:
        return self._of(2)

    def _of(self, which: int) -> float:
        if not self._noted:
            return 0.0
        first, last = self._noted[0], self._noted[-1]
        return (last[which] - first[which]) / max(0.1, last[0] - first[0])
