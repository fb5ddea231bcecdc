"""What `sync` prints and how it exits; what it does is tested with `one_pass`."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from postamt_sync.app.sync import SyncResult
from postamt_sync.cli.main import run
from postamt_sync.cli.sync import as_json, as_text, exit_code, read_since
from postamt_sync.cli.topics import text_of
from postamt_sync.errors import ExitCode, MisconfiguredError, TryLaterError, UsageError
from postamt_sync.ledger.sync_runs import SyncTotals
from tests.doubles.s3 import S3Double
from tests.doubles.s3_faults import stall
from tests.support.household import configuration, configure


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return configure(tmp_path, configuration(tmp_path, people=["anna"]))


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("90m", timedelta(minutes=90)),
        (" 2 w ", timedelta(weeks=2)),
    ],
)
def test_a_duration_reaches_back_from_now(text: str, ago: timedelta) -> None:
    assert read_since(text) == pytest.approx(time.time() - ago.total_seconds(), abs=60)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-10-01T12:00+02:00", datetime.fromisoformat("2026-10-01T10:00+00:00")),
        ("2026-10-01T12:00:00Z", datetime.fromisoformat("2026-10-01T12:00+00:00")),
        ("2026-10-01", datetime(2026, 10, 1).astimezone()),
    ],
)
def test_a_date_is_local_unless_it_says_otherwise(text: str, moment: datetime) -> None:
    assert read_since(text) == moment.timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "30",
        "30y",
        "-3d",
        "2026-13-01",
        "٣d",
        "9999999d",
        "",
        "  ",
        "0001-01-01",
        "2026-10-01T25:00",
    ],
)
def test_other_moments_are_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="30d"):
        read_since(text)


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (SyncResult(SyncTotals(listed=2, known=1, archived=1)), ExitCode.OK),
        (SyncResult(SyncTotals(listed=1, waiting=1)), ExitCode.OK),
        (SyncResult(SyncTotals(listed=1, failed=1)), ExitCode.UNDELIVERED),
        (SyncResult(SyncTotals(listed=1, quarantined=1)), ExitCode.UNDELIVERED),
        (SyncResult(SyncTotals(), error=TryLaterError("No network.")), ExitCode.TRY_LATER),
        (SyncResult(SyncTotals(), error=MisconfiguredError("No bucket.")), ExitCode.CONFIGURATION),
    ],
)
def test_the_exit_code_tells_what_to_do(result: SyncResult, code: ExitCode) -> None:
    assert exit_code(result) is code


def test_the_object_is_flat_and_says_what_cut_it_short() -> None:
    error = TryLaterError("No network.", "Look at the cable.")
    assert as_json(
        SyncResult(SyncTotals(listed=1, failed=1), bytes=7, seconds=0.12345, error=error)
    ) == {
        "listed": 1,
        "known": 0,
        "delivered": 0,
        "archived": 0,
        "quarantined": 0,
        "failed": 1,
        "waiting": 0,
        "skipped": 0,
        "gone": 0,
        "sealed": 0,
        "bytes": 7,
        "seconds": 0.123,
        "error": "No network.",
        "hint": "Look at the cable.",
    }


def test_the_words_name_what_there_is() -> None:
    text = as_text(
        SyncResult(SyncTotals(listed=3, delivered=2, failed=1), bytes=2_500_000, seconds=61)
    )
    assert "3 listed: 2 delivered, 1 failed. 2.5 MB in 0:01:01." in text
    assert "41 kB/s on average.\n" in text
    limited = SyncResult(SyncTotals(listed=1, delivered=1), 2_500_000, 2, limit=2_000_000)
    assert as_text(limited).endswith("1.25 MB/s on average, limited to 2 MB/s.")
    assert "postamt-sync status" in text
    assert "Nothing was done" in as_text(SyncResult(SyncTotals(listed=1, waiting=1), dry_run=True))


def test_json_is_one_object_also_when_nothing_could_begin(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text().replace("eu-west-1", "nowhere at all"))
    assert run(["sync", "--json", "--config", str(config)]) == ExitCode.CONFIGURATION
    assert "problem" in json.loads(capsys.readouterr().out)["error"]


def test_two_wishes_that_exclude_each_other_are_refused(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["sync", "--mark-delivered", "--since", "3d", "--config", str(config)])
    assert code == ExitCode.USAGE
    assert "--since" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("json_wanted", [True, False])
def test_a_whole_pass_as_a_process(config: Path, json_wanted: bool) -> None:
    with S3Double.in_thread() as s3:
        s3.put("incoming/a", b"To: anna@example.com\r\n\r\nhello")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "postamt_sync", "sync", "--config", str(config)),
                *(["--json"] if json_wanted else []),
            ],
            env=os.environ | s3.environment(),
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    if json_wanted:
        assert json.loads(done.stdout)["delivered"] == 1
        assert len(done.stdout.splitlines()) == 1
    else:
        assert "1 listed: 1 delivered." in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--json"], []])
def test_ctrl_c_is_safe_and_still_one_object(config: Path, options: list[str]) -> None:
    with S3Double.in_thread() as s3:
        s3.put("incoming/a", b"To: anna@example.com\r\n\r\nhello")
        s3.next(stall(after=3), times=99, of="objects")
        process = subprocess.Popen(
            [sys.executable, "-m", "postamt_sync", "sync", "--config", str(config), *options],
            env=os.environ | s3.environment(),
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not s3.gets:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
        assert process.returncode == 128 + signal.SIGINT, err
        assert "Stopped." in err
        assert "Traceback" not in err
        assert ("Stopped" in json.loads(out)["error"]) if options else not out
        s3.heal()
        assert list((config.parent / "anna").glob("*/*")) == []


@pytest.mark.slow
def test_on_a_terminal_there_is_a_bar_within_its_width(config: Path) -> None:
    with S3Double.in_thread() as s3:
        for n in range(300):
            s3.put(f"incoming/{n}", b"To: anna@example.com\r\n\r\n" + b"x" * 20_000)
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "postamt_sync", "sync", "--config", str(config)],
            env=os.environ | s3.environment() | {"TERM": "xterm", "COLUMNS": "80"},
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        out, _ = process.communicate()
    assert process.returncode == 0, shown
    assert b"delivering" in shown
    assert b"/300" in shown
    assert b"300 delivered" in out


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65_536)
    except OSError:  # the other side is closed
        os.close(fd)
        return b""


def test_the_topic_names_every_count() -> None:
    told = text_of("cron").partition("`listed` is the sum of")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", told)) == set(asdict(SyncTotals())) - {"listed"}
