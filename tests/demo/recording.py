"""Records a real run of the demo: a cast (asciinema, version 2), and a picture of it that moves.

    python -m tests.demo.recording .github/demo.svg [--cast demo.cast]

The picture is an SVG without script: each frame is shown for as long as it stood on the screen, but
pauses are cut to LONGEST_PAUSE. Rows that stand in several frames are written once. As root it goes
before all that else runs here: the figures are the demo's, not those of a machine that is busy.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path

COLUMNS, ROWS = 82, 30
LONGEST_PAUSE = 1.2
SHORTEST_FRAME = 0.12
"""Seconds; what comes faster is shown together."""
REST = 4.0
"""Seconds for which the end is shown before it starts over."""
CELL_WIDTH, CELL_HEIGHT, MARGIN = 8.4, 18, 14

_SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")
_SPINNER = re.compile("[\u2800-\u28ff]")
_COLOURS = {31: "r", 32: "g", 33: "y", 36: "c", 37: "w"}
_STYLE = (
    ".r{fill:#f07178}.g{fill:#8bd49c}.y{fill:#ffcb6b}.c{fill:#7fd1e0}.d{opacity:.6}"
    ".b{font-weight:600}"
)

Event = tuple[float, str]
"""Seconds since the start, and what was written."""


def record(command: list[str]) -> list[Event]:
    """Run a command at a terminal of its own and return what it writes, until it ends."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    ours, theirs = pty.openpty()
    size = {"COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    environment = os.environ | size | {"TERM": "xterm-256color"}
    started = time.monotonic()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    events: list[Event] = []
    while True:
        if select.select([ours], [], [], 0.5)[0]:
            try:
                data = os.read(ours, 65536)
            except OSError:  # it has ended
                break
            events.append((time.monotonic() - started, data.decode(errors="replace")))
        elif process.poll() is not None:
            break
    os.close(ours)
    if process.wait():
        raise SystemExit(f"The run ended with {process.returncode}.")
    return events


def cast(events: Iterable[Event]) -> str:
    """Return the recording as asciinema plays it (asciicast v2)."""
    head = {"version": 2, "width": COLUMNS, "height": ROWS, "idle_time_limit": LONGEST_PAUSE}
    lines = [json.dumps(head)]
    lines += [json.dumps([round(at, 3), "o", text]) for at, text in events]
    return "\n".join(lines) + "\n"


Cell = tuple[str, str]
"""A character and its classes."""


@dataclass
class Screen:
    """As much of a terminal as the demo uses; what scrolls out is gone."""

    rows: list[list[Cell]] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0
    style: tuple[str, ...] = ()

    def write(self, text: str) -> None:
        at = 0
        while at < len(text):
            if found := _SEQUENCE.match(text, at):
                self._obey(found[1], found[2])
                at = found.end()
                continue
            self._put(text[at])
            at += 1

    def picture(self) -> tuple[str, ...]:
        """Return the rows as SVG text, the lowest ROWS of them."""
        return tuple(_row(cells) for cells in self.rows[-ROWS:])

    def _put(self, character: str) -> None:
        match character:
            case "\n":
                self.row += 1
                if self.row == len(self.rows):
                    self.rows.append([])
            case "\r":
                self.column = 0
            case _ if character >= " ":
                cells = self.rows[self.row]
                cells += [(" ", "")] * (self.column + 1 - len(cells))
                cells[self.column] = (character, " ".join(self.style))
                self.column += 1

    def _obey(self, numbers: str, letter: str) -> None:
        match letter:
            case "m":
                for number in map(int, (numbers or "0").split(";")):
                    self._colour(number)
            case "K":
                self.rows[self.row] = [] if numbers == "2" else self.rows[self.row][: self.column]
            case "A":
                self.row = max(0, self.row - int(numbers or "1"))
            case _:
                pass  # the cursor's look

    def _colour(self, number: int) -> None:
        if number == 0:
            self.style = ()
        elif number in {1, 2}:
            self.style = (*self.style, "b" if number == 1 else "d")
        elif number in _COLOURS:
            self.style = (*self.style, _COLOURS[number])


def _row(cells: list[Cell]) -> str:
    parts: list[Cell] = []
    for character, style in cells:
        if parts and parts[-1][1] == style:
            parts[-1] = (parts[-1][0] + character, style)
        else:
            parts.append((character, style))
    text = "".join(
        f'<tspan class="{style}">{escape(said)}</tspan>' if style else escape(said)
        for said, style in parts
    )
    return text.rstrip()


def frames(events: Iterable[Event]) -> Iterator[tuple[float, tuple[str, ...]]]:
    """Yield when each picture begins, with pauses cut, and its rows; the last time has none."""
    screen, now, before = Screen(), 0.0, 0.0
    shown = screen.picture()
    due, written, quiet = -SHORTEST_FRAME, 0.0, 0.0
    said = ""
    for at, text in events:
        # What only turns a spinner is a pause too.
        words = _SPINNER.sub("", "".join(screen.picture()))
        quiet = 0.0 if words != said else quiet
        passed = max(0.0, min(at - before, LONGEST_PAUSE - quiet))
        now, quiet, said, before = now + passed, quiet + passed, words, at
        begin = max(written, due + SHORTEST_FRAME)
        if screen.picture() != shown and begin <= now:
            shown, due = screen.picture(), begin
            yield due, shown
        screen.write(text)
        written = now
    now = max(now, due)
    yield now + SHORTEST_FRAME, screen.picture()
    yield now + SHORTEST_FRAME + REST, ()


def animate(pictures: list[tuple[float, tuple[str, ...]]]) -> str:
    """Return the SVG."""
    end = pictures[-1][0]
    width, height = COLUMNS * CELL_WIDTH + 2 * MARGIN, ROWS * CELL_HEIGHT + 2 * MARGIN
    rows: dict[str, str] = {}
    body, style = [], [_STYLE]
    for number, ((begin, shown), (until, _)) in enumerate(pairwise(pictures)):
        lines = []
        for place, text in enumerate(shown):
            if text.strip():
                name = rows.setdefault(text, f"t{len(rows)}")
                y = MARGIN + (place + 1) * CELL_HEIGHT - 5
                lines.append(f'<use href="#{name}" y="{y:g}"/>')
        from_, to = 100 * begin / end, 100 * until / end
        style.append(
            f"@keyframes k{number}{{0%,{from_:.3f}%{{visibility:hidden}}"
            f"{from_ + 0.001:.3f}%,{to:.3f}%{{visibility:visible}}"
            f"{min(100, to + 0.001):.3f}%,100%{{visibility:hidden}}}}"
            f"#f{number}{{animation:k{number} {end:.2f}s linear infinite}}"
        )
        body.append(f'<g id="f{number}">{"".join(lines)}</g>')
    last = len(body) - 1
    # What knows no animation shows how it ended, and nothing over it.
    style.append(f"g:not(#f{last}){{visibility:hidden}}")
    # Whoever wants no motion sees how it ended.
    still = (
        "@media(prefers-reduced-motion:reduce){g{animation:none!important}"
        f"#f{last}{{visibility:visible!important}}}}"
    )
    named = "".join(
        f'<text id="{name}" x="{MARGIN}" xml:space="preserve">{text}</text>'
        for text, name in rows.items()
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}"'
        f' width="{width:g}" height="{height:g}" role="img" aria-label="postamt-sync demo"'
        ' font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace"'
        ' font-size="14" fill="#d6deeb">'
        f"<style>{''.join(style)}{still}</style><defs>{named}</defs>"
        f'<rect width="100%" height="100%" rx="8" fill="#16191f"/>{"".join(body)}</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--cast", type=Path, help="keep what asciinema plays, too")
    parser.add_argument("--from-cast", type=Path, help="draw this recording, and run nothing")
    options = parser.parse_args()
    if options.from_cast:
        lines = options.from_cast.read_text().splitlines()[1:]
        events = [(at, text) for at, _, text in map(json.loads, lines)]
    else:
        prompt = (0.0, "$ postamt-sync demo\r\n")
        events = [prompt, *record([sys.executable, "-m", "postamt_sync", "demo", "--once"])]
    if options.cast:
        options.cast.write_text(cast(events))
    options.picture.write_text(animate(list(frames(events))))


if __name__ == "__main__":
    main()
