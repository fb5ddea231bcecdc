"""A picture that is drawn again and again in its place, as top and watch do it."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from postamt_sync.errors import UsageError

EVERY = 2.0
"""Seconds between two pictures at least."""
REST = 20.0
"""How many times as long as it took to make, a picture stays: looking must not load the machine."""


def refuse_watching(console: Console, *, json: bool) -> None:
    """Raise UsageError where a picture cannot be drawn over the one before."""
    if json:
        raise UsageError("--watch and --json exclude each other.", "Leave one of them out.")
    if not console.is_terminal or console.is_dumb_terminal:
        raise UsageError(
            "--watch draws on a terminal, and this is none.", "Leave it out, or take --json."
        )


def watching(picture: Callable[[], RenderableType], console: Console) -> None:
    """Draw until Ctrl-C; the screen is then as it was before. Raises what `picture` raises."""
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                begun = time.monotonic()
                headline = Text(f"{time.strftime('%H:%M:%S')}   Ctrl-C ends", style="dim")
                live.update(Group(headline, Text(), picture()), refresh=True)
                time.sleep(max(EVERY, REST * (time.monotonic() - begun)))
    except KeyboardInterrupt:
        return
