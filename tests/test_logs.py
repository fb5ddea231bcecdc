from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from postamt_sync.logs import LIBRARIES, configure_logging


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Meeting(io.StringIO):
    """Waits a moment in each write for a second writer, who must not come."""

    def __init__(self) -> None:
        super().__init__()
        self.met = False
        self._barrier = threading.Barrier(2)

    def write(self, text: str) -> int:
        try:
            self._barrier.wait(0.1)
            self.met = True
        except threading.BrokenBarrierError:
            self._barrier.reset()
        return super().write(text)


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.fixture(autouse=True)
def _restored_libraries() -> Iterator[None]:
    before = {n: (logging.getLogger(n).level, logging.getLogger(n).handlers[:]) for n in LIBRARIES}
    yield
    for name, (level, handlers) in before.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).handlers[:] = handlers


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_where_no_terminal_is() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream).announced("abc", "incoming/ü\n", "poll")
    (line,) = lines(stream)
    assert list(line)[:3] == ["time", "level", "event"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", str(line.pop("time")))
    assert line == {
        "level": "info",
        "event": "announced",
        "mail": "abc",
        "key": "incoming/ü\\n",
        "source": "poll",
    }


def test_human_lines_on_a_terminal() -> None:
    stream = Terminal()
    configure_logging(stream=stream).stopped()
    assert not stream.getvalue().startswith("{")
    assert "stopped" in stream.getvalue()
    assert "\x1b[" in stream.getvalue()


def test_colours_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    configure_logging(stream=stream).stopped()
    assert "\x1b[" not in stream.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
@pytest.mark.parametrize("as_json", [True, False])
def test_the_form_can_be_asked_for(stream: io.StringIO, as_json: bool) -> None:
    configure_logging(json=as_json, stream=stream).stopped()
    assert stream.getvalue().splitlines()[-1].startswith("{") is as_json
    if not stream.isatty():
        assert "\x1b[" not in stream.getvalue()


@pytest.mark.parametrize(("level", "count"), [("info", 0), ("debug", 1)])
def test_the_level_counts(level: str, count: int) -> None:
    stream = io.StringIO()
    configure_logging(level=level, stream=stream).skipped("abc", "k")
    assert len(lines(stream)) == count


def test_what_is_not_known_is_left_out() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream).postponed("abc", "", "no network", 10)
    assert "mailbox" not in lines(stream)[0]


def test_a_full_disk_stops_no_mail() -> None:
    configure_logging(stream=FullDisk()).stopped()


def test_a_closed_stream_stops_no_mail() -> None:
    stream = io.StringIO()
    events = configure_logging(stream=stream)
    stream.close()
    events.stopped()


def test_lines_of_several_threads_stay_whole() -> None:
    stream = Meeting()
    events = configure_logging(stream=stream)
    threads = [threading.Thread(target=events.stopped) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not stream.met


def test_structlog_itself_stays_as_it_was() -> None:
    before = structlog.get_config()
    configure_logging(stream=io.StringIO())
    assert structlog.get_config() == before
    assert not structlog.is_configured()


@pytest.mark.parametrize("library", LIBRARIES)
def test_warnings_of_libraries_come_in_our_form(library: str) -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    logging.getLogger(f"{library}.part").warning("odd %s", "request\n\x1b[31m")
    (line,) = lines(stream)
    assert line["level"] == "warning"
    assert line["event"] == "odd request\\n\\x1b[31m"
    assert line["library"] == f"{library}.part"


def test_a_second_call_points_the_libraries_again() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging(stream=first)
    configure_logging(stream=second)
    logging.getLogger("botocore").error("once")
    assert (len(lines(first)), len(lines(second))) == (0, 1)


@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_do_not_even_make_what_is_not_shown(library: str) -> None:
    logging.getLogger(library).setLevel(logging.DEBUG)
    configure_logging(level="debug", stream=io.StringIO())
    assert not logging.getLogger(library).isEnabledFor(logging.INFO)


@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_never_talk_below_warning(library: str) -> None:
    stream = io.StringIO()
    configure_logging(level="debug", stream=stream)
    logging.getLogger(library).info("Authorization: AWS4-HMAC-SHA256 Credential=AKIA")
    loud = logging.getLogger(f"{library}.loud")
    loud.setLevel(logging.DEBUG)
    loud.debug("Authorization: AWS4-HMAC-SHA256 Credential=AKIA")
    assert lines(stream) == []


@pytest.mark.parametrize(
    "text",
    [
        "GET /x?X-Amz-Signature=hunter2&a=b failed",
        "GET /x?X-Amz-Security-Token=hunter2",
        "GET /x?AWSAccessKeyId=hunter2&Signature=hunter2",
        "https://anna:hunter2@sqs.example.com/x refused",
        "Authorization: hunter2",
        "Authorization: Bearer hunter2",
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIA, Signature=hunter2",
        "{'password': 'hunter2'}",
        '{"aws_secret_access_key": "hunter2"}',
        "x-amz-security-token: hunter2",
    ],
)
def test_secrets_in_warnings_are_masked(text: str) -> None:
    stream = io.StringIO()
    configure_logging(level="debug", stream=stream)
    logging.getLogger("urllib3").warning(text)
    logging.getLogger("aiohttp").error("failed", exc_info=ValueError(text))
    assert len(lines(stream)) == 2
    assert "***" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_plain_urls_stay_as_they_are() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    logging.getLogger("urllib3").warning("https://sqs.example.com/a?b=c refused a@b.c")
    assert lines(stream)[0]["event"] == "https://sqs.example.com/a?b=c refused a@b.c"


@pytest.mark.parametrize(("level", "shown"), [("info", False), ("debug", True)])
def test_tracebacks_of_libraries_only_at_debug(level: str, shown: bool) -> None:
    stream = io.StringIO()
    configure_logging(level=level, stream=stream)
    try:
        int("\x1b[31m")
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Error handling request")
    (line,) = lines(stream)
    assert str(line["error"]).startswith("ValueError: invalid literal")
    assert str(line["where"]).startswith("test_logs.py:")
    assert ("exception" in line) is shown


def test_a_library_that_formats_wrongly_is_heard() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    record = logging.LogRecord("aiohttp", logging.WARNING, "", 0, "%d mails", ("two",), None)
    logging.getLogger("aiohttp").handlers[-1].handle(record)
    assert lines(stream)[0]["event"] == "%d mails"


def test_the_journal_learns_the_priority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with path.open("w+") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        configure_logging(stream=stream).quarantined("abc", "k", "no mail")
    line = path.read_text()
    assert line.startswith("<3>{")
    assert json.loads(line[3:])["event"] == "quarantined"


def test_an_inherited_journal_is_not_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    path = tmp_path / "file"
    with path.open("w+") as stream:
        configure_logging(stream=stream).stopped()
    assert path.read_text().startswith("{")


def test_standard_error_by_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging().stopped()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "stopped"
    assert sys.stderr is not sys.__stderr__


def test_what_a_library_repeats_is_logged_once_a_minute() -> None:
    stream = io.StringIO()
    configure_logging(json=True, stream=stream)
    for number in range(1000):
        logging.getLogger("aiohttp.server").error("Error handling request of %s", number)
    assert len(stream.getvalue().splitlines()) == 1
