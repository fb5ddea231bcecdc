"""`find` as it is typed: into a terminal, a pipe and JSON, beside what is missing or hostile."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from postamt_sync.cli.main import run
from postamt_sync.errors import ExitCode
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.remembered_headers import MailHeader
from postamt_sync.mail.arrival import Arrival, Envelope, Source, mail_id
from tests.doubles.s3 import S3Double
from tests.doubles.s3_faults import refuse
from tests.status.test_header_memory import HEAD, lying
from tests.support.household import configuration, configure

HOSTILE = "\x1b[2J\x1b]0;taken\x07 \u202egnp.exe \r\n[bold red]x[/] \x9b31m"


def known(ledger: Ledger, key: str, subject: str, at: float | None = None) -> None:
    at = time.time() if at is None else at
    envelope = Envelope(("anna@example.com",))
    ledger.arrivals.record([Arrival("mail", key, Source.WEBHOOK, "e1", 10, at, envelope=envelope)])
    header = MailHeader(mail_id("mail", key), at, "<m@x>", "C <c@x>", "anna", subject)
    ledger.headers.put([header])


def found(config: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert run(["find", *words, "--json", "--config", str(config)]) == ExitCode.OK
    result: dict[str, object] = json.loads(capsys.readouterr().out)
    return result


def test_a_mail_is_told_a_line_a_station(
    config: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    known(ledger, "incoming/a", "Tea on Thursday")
    assert run(["find", "tea", "THURSDAY", "--config", str(config)]) == ExitCode.OK
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "Tea on Thursday"
    for words in ("C <c@x>", "<m@x>", "by SES as incoming/a, 10 B", "by the webhook"):
        assert words in out
    assert "nobody delivers: the daemon is not running" in out


def test_json_has_what_is_documented(
    config: Path, ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known(ledger, "incoming/a", "Tea", 100.0)
    path = lying(tmp_path / "anna", "incoming/a", HEAD)
    result = found(config, capsys, "tea")
    (mail,) = result["mails"]  # type: ignore[misc]
    assert mail["received"] == "1970-01-01T00:01:40+00:00"
    assert mail["recipients"] == ["anna@example.com"]
    assert mail["state"] == "waiting"
    assert mail["bucket"] is None
    assert mail["files"] == [
        {"mailbox": "anna", "folder": "", "path": str(path), "flags": ["seen", "flagged"]}
    ]


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_nothing_that_a_sender_wrote_reaches_the_terminal_as_it_stands(
    columns: str,
    config: Path,
    ledger: Ledger,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    known(ledger, f"incoming/{HOSTILE}", f"Tea {HOSTILE}")
    assert run(["find", "tea", "--config", str(config)]) == ExitCode.OK
    out = capsys.readouterr().out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out)
    assert "[bold red]x[/]" in out.replace("\n", "")


@pytest.mark.parametrize("columns", [60, 80])
def test_lines_fit_the_terminal_but_for_what_is_copied(
    columns: int,
    config: Path,
    ledger: Ledger,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    known(ledger, "incoming/a", "Tea, or something much longer than that " * 6)
    assert run(["find", "tea", "--config", str(config)]) == ExitCode.OK
    assert run(["find", "nothing-has-this", "--config", str(config)]) == ExitCode.OK
    out = capsys.readouterr().out
    long = [line for line in out.splitlines() if len(line) > columns]
    assert [line for line in long if str(tmp_path) not in line] == []


def test_nothing_found_says_where_it_looked_and_what_to_try(
    config: Path, ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known(ledger, "incoming/a", "Tea")
    lying(tmp_path / "anna", "incoming/b", HEAD)
    assert run(["find", "coffee", "--since", "3d", "--config", str(config)]) == ExitCode.OK
    out = " ".join(capsys.readouterr().out.split())
    assert "ledger (1 mail), Maildirs (1 mail)" in out
    assert "--cloud" in out
    assert "a longer time after --since" in out


def test_no_more_than_asked_are_shown_and_the_rest_is_told(
    config: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(4):
        known(ledger, f"incoming/{n}", f"Tea {n}", 100.0 + n)
    assert run(["find", "tea", "--most", "2", "--config", str(config)]) == ExitCode.OK
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("Tea")] == ["Tea 3", "Tea 2"]
    assert "There are older ones" in out
    assert "--most 20" in out
    result = found(config, capsys, "tea", "--since", "1970-01-01T00:01:42Z", "--most", "9")
    assert len(result["mails"]) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("words", [[""], ["  "], ["<>"], ["\u200b"]])
def test_words_without_anything_in_them_are_refused(
    config: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["find", *words, "--config", str(config)]) == ExitCode.USAGE
    assert "nothing to look for" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--since", ""], "neither a date nor a duration"),
        (["--since", "0001-01-01"], "neither a date nor a duration"),
        (["--most", "0"], "--most"),
        (["--most", "9" * 30], "--most"),
        ([f"word{n}" for n in range(600)], "at most 100"),
    ],
)
def test_what_cannot_be_asked_for_is_said(
    config: Path, more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["find", "tea", *more, "--config", str(config)]) == ExitCode.USAGE
    assert said in capsys.readouterr().err


def test_a_file_of_a_year_that_no_calendar_has_is_found_too(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lying(tmp_path / "anna", "incoming/a", HEAD)
    path.rename(path.with_name(f"999999999999.{path.name.partition('.')[2]}"))
    (mail,) = found(config, capsys, "tea")["mails"]  # type: ignore[misc]
    assert mail["received"].startswith("9999-")
    assert not found(config, capsys, "14:05")["mails"]
    assert run(["find", "tea", "--config", str(config)]) == ExitCode.OK
    assert "9999-" in capsys.readouterr().out


def test_with_the_ledger_away_the_maildirs_tell(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lying(tmp_path / "anna", "incoming/a", HEAD)
    assert run(["find", "tea", "--config", str(config)]) == ExitCode.OK
    out = " ".join(capsys.readouterr().out.split())
    assert "to anna, now in INBOX, seen, flagged" in out
    assert "Could not look everywhere. ledger: There is no ledger" in out
    assert not (tmp_path / "state").exists()


def test_with_ledger_and_maildirs_away_it_is_an_error(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["find", "tea", "--config", str(config)]) == ExitCode.CONFIGURATION
    assert "There is no ledger" in capsys.readouterr().err


def test_a_damaged_ledger_is_told_beside_what_was_found(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "ledger.sqlite3").write_bytes(b"no database" * 1000)
    lying(tmp_path / "anna", "incoming/a", HEAD)
    assert run(["find", "tea", "--config", str(config)]) == ExitCode.OK
    assert "is damaged" in " ".join(capsys.readouterr().out.split())


def in_cloud(tmp_path: Path) -> Path:
    more = "recent_prefix = 'recent/'\nprefix = 'incoming/'\n"
    text = configuration(tmp_path).replace('name = "mail"\n', f'name = "mail"\n{more}')
    return configure(tmp_path, text)


@pytest.mark.slow
def test_mail_that_never_came_home_is_found_in_the_bucket(
    ledger: Ledger, s3: S3Double, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = in_cloud(tmp_path)
    known(ledger, "incoming/a", "Tea")
    for name in ("a", "b"):
        s3.put(f"recent/{name}", HEAD)
        s3.put(f"incoming/{name}", HEAD)
    assert found(config, capsys, "jörg")["mails"] == []
    result = found(config, capsys, "jörg", "--cloud")
    (mail,) = result["mails"]  # type: ignore[misc]
    assert (mail["key"], mail["state"], mail["subject"]) == ("incoming/b", None, "Tea")
    assert mail["bucket"]["storage_class"] == "STANDARD"
    assert s3.gets == 1  # what the ledger knows is not fetched
    assert run(["find", "jörg", "--cloud", "--config", str(config)]) == ExitCode.OK
    assert f"postamt-sync sync --config {config} fetches it" in " ".join(
        capsys.readouterr().out.split()
    )


def test_what_is_known_is_looked_for_in_the_bucket(
    ledger: Ledger, s3: S3Double, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = in_cloud(tmp_path)
    for name in ("here", "archived", "gone"):
        known(ledger, f"incoming/{name}", f"Tea {name}")
    s3.put("incoming/here", HEAD)
    s3.put("incoming/archived", HEAD, storage_class="GLACIER")
    result = found(config, capsys, "tea", "--cloud")
    seen = {mail["key"]: mail["bucket"] for mail in result["mails"]}  # type: ignore[attr-defined]
    assert seen["incoming/here"]["size"] == len(HEAD)
    assert "archived" in seen["incoming/archived"]["problem"]
    assert "not in the bucket" in seen["incoming/gone"]["problem"]


def test_a_bucket_that_cannot_be_asked_takes_nothing_away(
    ledger: Ledger, s3: S3Double, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = in_cloud(tmp_path)
    known(ledger, "incoming/a", "Tea")
    s3.put("incoming/a", HEAD)
    s3.next(refuse(403, "AccessDenied"), times=99, of="listings")
    result = found(config, capsys, "tea", "--cloud")
    assert len(result["mails"]) == 1  # type: ignore[arg-type]
    problems = {each["where"]: each["problem"] for each in result["looked"]}  # type: ignore[attr-defined]
    assert problems["ledger"] is None
    assert problems["bucket"]
