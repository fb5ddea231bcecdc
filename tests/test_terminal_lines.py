from __future__ import annotations

import io
import json
import re

import pytest

from postamt_sync.events import Events
from postamt_sync.logs import configure_logging


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TZ", "UTC")


def told(level: str = "info") -> tuple[Terminal, Events]:
    stream = Terminal()
    return stream, configure_logging(stream=stream, level=level)


def come_home(events: Events, seconds: float = 1.234, size: int = 12_345) -> None:
    events.announced("abc", "incoming/k", "webhook")
    events.fetched("abc", size, 0.1)
    events.routed("abc", ["ann"], "envelope", "")
    events.delivered("abc", "ann", seconds, size)


def test_a_mail_is_one_line() -> None:
    stream, events = told()
    come_home(events)
    (line,) = stream.getvalue().splitlines()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d  mail for ann, 12\.3 kB, 1\.2 s after SES had it, by webhook", line
    )


def test_whom_it_is_from_is_shown_where_that_is_wanted_and_in_no_json() -> None:
    stream, events = told()
    events.announced("abc", "incoming/k", "queue")
    events.delivered("abc", "ann", 2.0, 500, "bob@example.org")
    said = " ".join(stream.getvalue().split())
    assert "mail from bob@example.org for ann, 500 B, 2.0 s after SES had it, by queue" in said
    json_lines = io.StringIO()
    configure_logging(stream=json_lines).delivered("abc", "ann", 2.0, 500, "bob@example.org")
    assert "bob" not in json_lines.getvalue()


@pytest.mark.parametrize(
    "sender", ["\x1b[2Jb@x.org", "b\n12:00:00  mail for ann@x.org", "\u202eb@x"]
)
def test_whom_it_claims_to_be_from_breaks_no_line(sender: str) -> None:
    stream, events = told()
    events.delivered("abc", "ann", 2.0, 500, sender)
    events.delivered("abc", "ann", 2.0, 500, "x" * 5_000 + "@example.org")
    assert len(stream.getvalue().splitlines()) <= 5
    assert stream.getvalue().replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("seconds", "size", "said"),
    [
        (600, 999, "999 B, 10 min"),
        (86_400, 40_000_000, "40.0 MB, 24 h"),
        (1e6, 1_000, "1.0 kB, 12 days"),
    ],
)
def test_what_waited_long_is_told_in_its_unit(seconds: float, size: int, said: str) -> None:
    stream, events = told()
    come_home(events, seconds, size)
    assert said in stream.getvalue()


def test_every_step_is_shown_where_that_was_asked_for() -> None:
    stream, events = told("debug")
    come_home(events)
    assert len(stream.getvalue().splitlines()) == 4
    assert "mail=abc" in stream.getvalue()


def test_nothing_is_wider_than_the_terminal() -> None:
    stream, events = told()
    events.postponed("abc", "ann", "The disk is full, as it often is when nobody looks. " * 4, 60)
    lines = stream.getvalue().splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= 80
    assert lines[0][8:16] == "  warn  "
    assert all(line.startswith(" " * 10) for line in lines[1:])


def test_a_json_line_has_no_field_for_eyes() -> None:
    stream = io.StringIO()
    come_home(configure_logging(stream=stream))
    last = json.loads(stream.getvalue().splitlines()[-1])
    assert list(last) == ["time", "level", "event", "mail", "mailbox", "latency"]


def test_only_what_is_not_delivered_yet_is_remembered() -> None:
    stream, events = told()
    events.delivered("never announced", "ann", None)
    assert stream.getvalue().split("  ")[1] == "mail for ann\n"
