"""The progress of a pass: on a terminal a bar, else plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from postamt_sync.app.sync import SyncProgress
from postamt_sync.cli.pass_speed import Speed
from postamt_sync.quantities import count

if TYPE_CHECKING:
    from postamt_sync.cli.pass_bar import PassBar

LINE_EVERY = 10.0
"""Seconds between lines if there is no terminal."""


class PassProgress:
    """Shows the progress of a pass on standard error; use as a context manager."""

    def __init__(
        self,
        *,
        enabled: bool,
        bar: PassBar | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._enabled = enabled
        self._bar = bar or (_open_bar() if enabled and sys.stderr.isatty() else None)
        self._clock = clock
        self._speed = Speed(clock)
        self._last_line = clock()

    @property
    def on_terminal(self) -> bool:
        """Whether a bar is shown."""
        return self._bar is not None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, progress: SyncProgress) -> None:
        """Show how far the pass has come."""
        self._speed.note(progress)
        if self._bar is not None:
            self._bar.draw(progress, self._speed)
        elif self._enabled and self._clock() - self._last_line >= LINE_EVERY:
            self._last_line = self._clock()
            print(self._line(progress), file=sys.stderr, flush=True)

    def _line(self, progress: SyncProgress) -> str:
        if progress.listing:
            return f"listing: {count(progress.listed, 'object')}"
        return (
            f"delivering: {progress.done} of {max(progress.todo, progress.done)} mails, "
            f"{progress.bytes / 1e6:.1f} MB, {self._speed.mails:.0f} mails/s, "
            f"{self._speed.bytes_shown(', limited to ')}"
        )


def _open_bar() -> PassBar:
    # What draws takes a tenth of a start, and an import has no memory to spare for it.
    from postamt_sync.cli.pass_bar import PassBar  # noqa: PLC0415

    return PassBar()
