"""The progress of a pass on a terminal: a bar with counts, speed and time left."""

from __future__ import annotations

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
from postamt_sync.cli.pass_speed import Speed

ROOM_FOR_A_BAR = 78


class PassBar:
    """Drawn on standard error, and gone when it is stopped."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        bar: list[ProgressColumn] = [BarColumn(bar_width=10)]
        self._roomy = console.width >= ROOM_FOR_A_BAR
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            *(bar if self._roomy else ()),
            MofNCompleteColumn(),
            TextColumn("{task.fields[bytes]}{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("listing", total=None, bytes="", rate="")

    def start(self) -> None:
        self._bar.start()

    def stop(self) -> None:
        self._bar.stop()

    def refresh(self) -> None:
        """Draw what was told last, without waiting for the next moment to draw."""
        self._bar.refresh()

    def draw(self, progress: SyncProgress, speed: Speed) -> None:
        if progress.listing:
            self._bar.update(self._task, completed=progress.listed, total=None)
            return
        self._bar.update(
            self._task,
            description="delivering",
            completed=progress.done,
            total=max(progress.todo, progress.done),
            bytes=f"{progress.bytes / 1e6:.1f} MB " if self._roomy else "",
            rate=f"{speed.mails:.0f}/s {speed.bytes_shown(' of ')}",
        )
