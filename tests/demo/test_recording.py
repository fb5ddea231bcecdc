"""The recording of the demo: what the terminal showed is what the picture shows."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.demo.recording import LONGEST_PAUSE, Screen, animate, cast, frames

REPOSITORY = Path(__file__).parents[2]
EVENTS = [
    (0.0, "$ demo\r\n"),
    (0.5, "\x1b[?25l\x1b[36m⠋\x1b[0m up …"),
    (30.0, "\r\x1b[2K\x1b[?25h  \x1b[36mS3\x1b[0m <up> \x1b[32m✓\x1b[0m\r\n"),
    (31.0, "a\r\nb\r\n\x1b[2A\x1b[2K\rc\r\n\r\n"),
]


def test_the_screen_is_what_a_terminal_shows() -> None:
    screen = Screen()
    for _, text in EVENTS:
        screen.write(text)
    rows = [re.sub("<[^>]*>", "", row) for row in screen.picture()]
    assert rows == ["$ demo", "  S3 &lt;up&gt; ✓", "c", "b", ""]


def test_pauses_are_cut_and_the_picture_is_sound() -> None:
    shown = list(frames(EVENTS))
    times = [at for at, _ in shown]
    lengths = [until - at for at, until in pairwise(times)]
    assert min(lengths) > 0.1, "one of no length would be seen until its moment"
    assert times[-2] < 3 * LONGEST_PAUSE
    assert times[0] == 0, "what is typed stands there from the first moment"
    assert "demo" in "".join(shown[0][1])
    svg = animate(shown)
    ET.fromstring(svg)
    assert "<script" not in svg
    assert "⠋" in svg


def test_the_cast_is_one_that_asciinema_plays() -> None:
    head, *events = map(json.loads, cast(EVENTS).splitlines())
    assert head["version"] == 2
    assert [event[1] for event in events] == ["o"] * len(EVENTS)


def test_the_picture_in_the_readme_is_small_and_of_a_whole_run() -> None:
    picture = REPOSITORY / ".github" / "demo.svg"
    assert picture.stat().st_size < 300_000
    text = picture.read_text()
    ET.fromstring(text)
    for words in ("status page", "seen over IMAP", "nothing lost", "byte for byte"):
        assert words in text
    ready = re.search(r"ready after\s*</tspan>\s*([\d.]+) s", text)
    assert ready
    assert float(ready[1]) < 15, "recorded on a machine that was busy"
    hidden = re.search(r"g:not\(#f(\d+)\){visibility:hidden}", text)
    assert hidden, "where nothing moves, the end is to be seen"
    assert int(hidden[1]) == text.count("<g id=") - 1
    assert "(.github/demo.svg)" in (REPOSITORY / "README.md").read_text()
