"""`status`, `quarantine` and `redeliver`, beside a ledger in every state."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from postamt_sync.cli.main import run
from postamt_sync.errors import ExitCode
from postamt_sync.ledger import CourierLock, Delivery, DeliveryState, Ledger, ObjectState, Prepared
from postamt_sync.ledger.incidents import Cause, Incident
from postamt_sync.ledger.remembered_headers import MailHeader
from postamt_sync.mail.arrival import Arrival, Evidence, Source, mail_id
from postamt_sync.status import report


def announce(ledger: Ledger, *keys: str) -> None:
    ledger.arrivals.record(
        [Arrival("mail", key, Source.WEBHOOK, etag="e", size=9, last_modified=9.0) for key in keys]
    )


def settle(ledger: Ledger, key: str, mailbox: str) -> None:
    task = next(t for t in ledger.work.due(0, 99, ()) if t.key == key)
    copy = Delivery(mailbox, f"1.{mailbox}", DeliveryState.PREPARED, "/m", "", "n", "sha")
    ledger.work.prepare([Prepared(task, "e", 9, 9.0, Evidence.RECEIPT, (copy,))])
    ledger.work.settle([(task, [copy])])


def in_every_state(ledger: Ledger) -> None:
    announce(ledger, "in/broken", "in/due", "in/failing", "in/graced", "in/good")
    settle(ledger, "in/good", "anna")
    for task in ledger.work.due(0, 99, ()):
        match task.key:
            case "in/failing":
                ledger.work.postpone(
                    task, "The disk is full: /m.", 1e12, [("bruno", "The disk is full: /m.")]
                )
            case "in/graced":
                ledger.work.await_envelope(task, 1e12)
            case "in/broken":
                ledger.work.end(task, ObjectState.QUARANTINED, "It is encrypted.")
    ledger.overview.source_ok(Source.POLL, "5 listed, 1 new")
    ledger.overview.source_bad(Source.WEBHOOK, "Nobody confirmed.")
    ledger.arrivals.keep_notification(Source.WEBHOOK, "not JSON", "???")


def said(capsys: pytest.CaptureFixture[str], *argv: str, config: Path) -> str:
    code = run([*argv, "--config", str(config)])
    captured = capsys.readouterr()
    assert code == ExitCode.OK, captured.err
    return captured.out


def test_without_a_ledger_it_says_where_one_would_come_from(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status", "--config", str(config)]) == ExitCode.CONFIGURATION
    assert f"first postamt-sync run --config {config} or sync" in capsys.readouterr().err


def test_a_source_that_has_no_more_to_say_ends_its_line(
    config: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.overview.source_ok(Source.QUEUE)
    (line,) = [
        line for line in said(capsys, "status", config=config).splitlines() if "well" in line
    ]
    assert line.endswith(" ago")


def test_an_empty_ledger_is_no_problem(
    config: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    out = said(capsys, "status", config=config)
    assert "none yet" in out
    assert "not running" in out


def test_the_object_is_as_documented(
    config: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    in_every_state(ledger)
    found = json.loads(said(capsys, "status", "--json", config=config))
    assert found["daemon"] == ""
    assert found["mails"] == {
        "waiting": 3,
        "delivered": 1,
        "archived": 0,
        "gone": 0,
        "absent": 0,
        "adopted": 0,
        "quarantined": 1,
        "skipped": 0,
    }
    anna, bruno = found["mailboxes"]
    assert (anna["name"], anna["delivered"], anna["waiting"], anna["problem"]) == (
        "anna",
        1,
        0,
        None,
    )
    assert (bruno["delivered"], bruno["waiting"]) == (0, 1)
    assert bruno["problem"] == "The disk is full: /m."
    assert found["last_mail"] == anna["last_delivered"] is not None
    assert [(s["name"], s["problem"]) for s in found["sources"]] == [
        ("poll", None),
        ("webhook", "Nobody confirmed."),
    ]
    waiting = {w["key"]: w for w in found["waiting"]}
    assert waiting["in/graced"]["awaits_envelope"]
    assert waiting["in/failing"]["problem"] == "The disk is full: /m."
    assert waiting["in/failing"]["attempts"] == 1
    assert {w["next_attempt_in"] for w in found["waiting"]} == {None}
    assert [(q["key"], q["problem"]) for q in found["quarantine"]] == [
        ("in/broken", "It is encrypted.")
    ]
    assert found["not_understood"] == {"count": 1, "last_reason": "not JSON"}
    assert len(found["days"]) == 30
    assert [sorted(day) for day in found["days"]] == [["day", "mails"]] * 30
    assert found["days"] == sorted(found["days"], key=lambda day: day["day"])
    assert found["latency"]["copies"] == 0  # it was there before the ledger
    assert [c["within"] for c in found["latency"]["classes"]][-2:] == [86_400, None]
    times = [w["since"] for w in found["waiting"]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", t) for t in times)


def test_every_documented_key_is_there_and_no_other(
    config: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    documented = re.findall(r"^    (\w+)  ", report.__doc__ or "", re.MULTILINE)
    assert list(json.loads(said(capsys, "status", "--json", config=config))) == documented


def test_beside_a_daemon_it_names_it_and_the_next_attempt(
    config: Path, ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_every_state(ledger)
    with CourierLock(tmp_path / "state", "run"):
        found = json.loads(said(capsys, "status", "--json", config=config))
        assert "postamt-sync run, process" in found["daemon"]
        waiting = {w["key"]: w["next_attempt_in"] for w in found["waiting"]}
        assert waiting["in/due"] == 0
        assert waiting["in/failing"] > 1e6
        assert "next attempt in" in said(capsys, "status", config=config)


def test_the_words_fit_80_columns_and_name_every_trouble(
    config: Path,
    ledger: Ledger,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_every_state(ledger)
    announce(ledger, "in/" + "k" * 900 + "\n\x1b[31m")
    monkeypatch.setenv("COLUMNS", "80")
    out = said(capsys, "status", config=config)
    too_long = [line for line in out.splitlines() if len(line) > 80]
    assert too_long == [f"  postamt-sync quarantine retry --all --config {config}"]  # to be copied
    assert "\x1b" not in out
    words = " ".join(out.split())
    for trouble in (
        "The disk is full",
        "Nobody confirmed.",
        "It is encrypted.",
        "not JSON",
        "its envelope may still come",
        "quarantine retry",
    ):
        assert trouble in words


def test_how_a_subject_begins_does_not_place_it(
    config: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    announce(ledger, "in/a")
    mail = mail_id("mail", "in/a")
    ledger.headers.put([MailHeader(mail, 9.0, "<m@x>", "C <c@x>", "A", "    Tea")])
    lines = said(capsys, "status", config=config).splitlines()
    latest, waiting = [line for line in lines if "Tea | C <c@x>" in line]
    assert latest.startswith("  Tea")
    assert waiting.startswith("    Tea"), "below its key"


def test_more_than_fits_is_counted(
    config: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    announce(ledger, *(f"in/{n}" for n in range(30)))
    assert "and 10 more" in said(capsys, "status", config=config)


@pytest.mark.slow
def test_quarantine_lists_shows_and_retries(
    config: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "Nothing" in said(capsys, "quarantine", "list", config=config)
    in_every_state(ledger)
    listed = said(capsys, "quarantine", "list", config=config)
    assert "in/broken" in listed
    assert "It is encrypted." in listed
    (entry,) = json.loads(said(capsys, "quarantine", "list", "--json", config=config))
    assert entry["state"] == "quarantined"
    assert entry["first_seen"].endswith("+00:00")
    shown = said(capsys, "quarantine", "show", "broken", config=config)
    assert "It is encrypted." in shown
    by_id = json.loads(said(capsys, "quarantine", "show", entry["mail"], "--json", config=config))
    assert by_id == entry
    assert "1 mail to be tried again" in said(
        capsys, "quarantine", "retry", "broken", config=config
    )
    assert ledger.overview.states()[ObjectState.QUARANTINED] == 0


def test_quarantine_retries_all_at_once(
    config: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    in_every_state(ledger)
    assert "1 mail to be" in said(capsys, "quarantine", "retry", "--all", config=config)
    assert "0 mails to be" in said(capsys, "quarantine", "retry", "--all", config=config)


@pytest.mark.parametrize(
    "argv",
    [
        ["quarantine"],
        ["quarantine", "retry"],
        ["quarantine", "retry", "broken", "--all"],
        ["quarantine", "retry", "good"],
        ["quarantine", "show", "nothing"],
        ["redeliver", "nothing"],
        ["redeliver"],
        ["quarantine", "lsit"],
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_hint(
    argv: list[str], config: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    in_every_state(ledger)
    where = [] if argv[1:] in ([], ["lsit"]) else ["--config", str(config)]
    assert run([*argv, *where]) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert "Hint:" in captured.err or "Usage:" in captured.out


def test_redeliver_makes_a_delivered_mail_due_as_a_new_edition(
    config: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    in_every_state(ledger)
    assert "once more" in said(capsys, "redeliver", "in/good", config=config)
    (task,) = [t for t in ledger.work.due(0, 99, ()) if t.key == "in/good"]
    assert (task.edition, task.etag) == (1, None)


def test_what_a_person_is_told_of_is_shown(
    config: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    ledger.incidents.happened(
        [Incident(Cause.BOUNCES, str(n), now - 60, f"{n} \x1b[31m550 no such user") for n in (1, 2)]
    )
    ledger.incidents.lasting(Cause.DISK, {"state": "10 MiB of 30 GiB are free"}, now - 7300)
    words = " ".join(said(capsys, "status", config=config).split())
    assert "Alerts disk (2 h ago): 10 MiB of 30 GiB are free" in words
    # Seconds may pass until it is asked.
    assert re.search(r"bounces \(2, the last \d+ s ago\): 2 \\x1b\[31m550 no such user", words)
    shown = json.loads(said(capsys, "status", "--json", config=config))["alerts"]
    assert [(a["cause"], a["lasting"], a["told"]) for a in shown] == [
        ("disk", True, False),
        ("bounces", False, False),
        ("bounces", False, False),
    ]
    text = config.read_text()
    config.write_text(text.replace("[[mailboxes]]", "[alerts]\nbounces = false\n[[mailboxes]]", 1))
    assert "bounces" not in said(capsys, "status", config=config), "switched off"
