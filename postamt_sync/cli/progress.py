"""A pass on the terminal: a bar with mails, bytes, rate and time left; plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from postamt_sync.app.sync import SyncProgress
from postamt_sync.plural import count

LINE_EVERY = 10.0
"""Seconds between lines where there is no terminal."""


class PassProgress:
    """Shows the stages of a pass on standard error; use as a context manager."""

    def __init__(self, *, enabled: bool) -> None:
        self._console = Console(stderr=True)
        self.on_terminal = enabled and self._console.is_terminal
        self._enabled = enabled
        self._last_line = time.monotonic()
        self._started = time.monotonic()
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[bytes]} {task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
            disable=not self.on_terminal,
        )
        self._task = self._bar.add_task("listing", total=None, bytes="", rate="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, progress: SyncProgress) -> None:
        """Show how far the pass has come."""
        if self.on_terminal:
            self._draw(progress)
        elif self._enabled and time.monotonic() - self._last_line >= LINE_EVERY:
            self._last_line = time.monotonic()
            print(self._line(progress), file=sys.stderr, flush=True)

    def _draw(self, progress: SyncProgress) -> None:
        if progress.listing:
            self._bar.update(self._task, completed=progress.listed, total=None)
            return
        self._bar.update(
            self._task,
            description="delivering",
            completed=progress.done,
            total=max(progress.todo, progress.done),
            bytes=f"{progress.bytes / 1e6:.1f} MB",
            rate=f"{self._rate(progress):.0f}/s",
        )

    def _line(self, progress: SyncProgress) -> str:
        if progress.listing:
            return f"listing: {count(progress.listed, 'object')}"
        return (
            f"delivering: {progress.done} of {max(progress.todo, progress.done)} mails, "
            f"{progress.bytes / 1e6:.1f} MB, {self._rate(progress):.0f} mails/s"
        )

    def _rate(self, progress: SyncProgress) -> float:
        return progress.done / max(0.1, time.monotonic() - self._started)
