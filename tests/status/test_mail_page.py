"""What the status page says of single mails, and around them: named, linked, each cause once."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path

import pytest

from postamt_sync.config import Settings
from postamt_sync.ledger import CourierLock, Ledger, ObjectState
from postamt_sync.ledger.overview import SourceHealth
from postamt_sync.ledger.remembered_headers import MailHeader
from postamt_sync.mail.arrival import Source, mail_id
from postamt_sync.status import surroundings
from postamt_sync.status.mail_page import render_mail
from postamt_sync.status.page import whole
from postamt_sync.status.report import Runtime, as_json, read_report
from postamt_sync.status.surroundings import read_surroundings
from tests.doubles.ledger import bring_to, listing, take
from tests.status.seeded import MARKUP, a_good_month, deliver
from tests.status.test_page import Document, page


def named(ledger: Ledger, key: str, subject: str, sender: str = "C <c@x>") -> str:
    mail = mail_id("mail", key)
    ledger.headers.put([MailHeader(mail, time.time(), "<m@x>", sender, "A", subject)])
    return mail


def links(shown: Document) -> list[str | None]:
    return [link["href"] for link in shown.named("a")]


@pytest.mark.slow
def test_the_latest_mails_are_named_and_lead_to_their_way(
    settings: Settings, ledger: Ledger
) -> None:
    deliver(ledger, "incoming/a", 5.0, "anna")
    mail = named(ledger, "incoming/a", "Tea on Thursday")
    shown = page(settings)
    latest = r"Latest mail Tea on Thursday C <c@x> \d+ (s|min) ago, to anna"
    assert re.search(latest, shown.words)
    assert links(shown) == [f"/mail/{mail}"]
    assert b"Tea on Thursday" in (render_mail(settings, mail) or b"")


def test_waiting_and_quarantined_mail_is_named(settings: Settings, ledger: Ledger) -> None:
    ledger.arrivals.record([listing(key="incoming/w")])
    bring_to(ledger, ObjectState.QUARANTINED, "incoming/q")
    mails = [named(ledger, "incoming/w", "Waits"), named(ledger, "incoming/q", "Is encrypted")]
    ledger.headers.erase()
    shown = page(settings)
    assert links(shown) == [f"/mail/{mail}" for mail in mails]
    assert "incoming/w first seen" in shown.words  # not remembered: by its key
    for mail, subject in zip(mails, ("Waits", "Is encrypted"), strict=True):
        ledger.headers.put([MailHeader(mail, 1.0, "", "C <c@x>", "", subject)])
    assert "Is encrypted C <c@x> first seen" in page(settings).words


def test_a_cause_is_told_once(settings: Settings, ledger: Ledger) -> None:
    denied = "AWS refuses the credentials. Make new ones."
    for source in (Source.POLL, Source.RECONCILE, Source.QUEUE):
        ledger.overview.source_bad(source, denied)
    ledger.arrivals.record([listing(key=f"in/{n}") for n in range(3)])
    for n in range(3):
        ledger.work.postpone(take(ledger, f"in/{n}"), denied, time.monotonic() + 90)
    shown = page(settings, Runtime(trouble=denied)).words
    assert shown.count("AWS refuses the credentials") == 1
    assert "The same stops: poll, queue, reconcile." in shown


def test_a_remedy_is_told_whole_and_its_command_stands_by_itself(
    settings: Settings, ledger: Ledger
) -> None:
    remedy = f"{'What is wrong is long. ' * 40} Type: postamt-sync mailbox accept anna"
    ledger.overview.source_bad(Source.POLL, remedy)
    shown = page(settings)
    assert "…" not in shown.words
    codes = whole(f"Then: postamt-sync restore --only absent. {MARKUP}")
    assert "<code>postamt-sync restore --only absent</code>" in codes
    assert "<script>" not in codes


def test_empty_days_are_no_bars(settings: Settings, ledger: Ledger) -> None:
    assert not [r for r in page(settings).named("rect") if r["class"] in {"bar", "ground"}][1:]
    deliver(ledger, "in/a", 5.0, "anna")
    shown = page(settings)
    assert len([r for r in shown.named("rect") if r["class"] == "bar" and "y" in r]) == 1


def test_the_first_mail_makes_a_picture(settings: Settings, ledger: Ledger) -> None:
    a_good_month(ledger, settings.state_dir)
    paces = [r for r in page(settings).named("rect") if (r["class"] or "").startswith("pace")]
    spans = [(float(r["x"].rstrip("%")), float(r["width"].rstrip("%"))) for r in paces if "x" in r]  # type: ignore[union-attr]
    assert spans[0][0] == 0
    assert sum(width for _, width in spans) == pytest.approx(100, abs=0.1)


def test_a_mail_page_holds_what_strangers_wrote_as_text(settings: Settings, ledger: Ledger) -> None:
    ledger.arrivals.record([listing(key=f"in/{MARKUP}")])
    bad = f"{MARKUP}\x1b[31m\u202e"
    mail = named(ledger, f"in/{MARKUP}", bad, bad)
    shown = Document(render_mail(settings, mail) or b"")
    assert MARKUP in shown.text
    assert not {tag for tag, _ in shown.elements} & {"script", "img"}
    assert not re.search(r"[\x1b\u202e]", shown.text)


def test_an_unknown_mail_has_no_page(settings: Settings, ledger: Ledger) -> None:
    assert render_mail(settings, "0" * 24) is None


def test_next_poll_and_the_copy_of_the_ledger(settings: Settings, ledger: Ledger) -> None:
    assert "Next poll when the daemon runs" in page(settings).words
    ledger.overview.source_ok(Source.POLL, "1 listed, 0 new")
    (settings.state_dir / "ledger-copy.sqlite3").touch()
    with CourierLock(settings.state_dir, "run"):
        words = page(settings).words
    assert re.search(r"Next poll in [2-5] min", words)
    assert "Copy of the ledger" in words


def test_disks_are_shown_once_each_and_one_that_hangs_is_told(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "PATIENCE", 0.1)
    forever = threading.Event()
    bad = settings.mailboxes[1].maildir
    bad.mkdir(parents=True)

    def look(path: Path) -> os.statvfs_result:
        if path == bad:
            forever.wait(60)
        return os.statvfs(path)

    sources: list[SourceHealth] = []
    begun = time.monotonic()
    around = read_surroundings(settings, sources, running=True, look=look)
    forever.set()
    assert time.monotonic() - begun < 60
    assert [disk.holds for disk in around.disks] == [("ledger", "anna"), ("bruno",)]
    assert around.disks[1].size is None
    assert around.next_poll is None


def test_what_a_page_shows_is_in_the_json_too(settings: Settings, ledger: Ledger) -> None:
    deliver(ledger, "in/a", 5.0, "anna")
    named(ledger, "in/a", "Tea")
    said = as_json(read_report(settings, ledger))
    assert said["latest"][0]["subject"] == "Tea"
    assert said["latest"][0]["mailboxes"] == ["anna"]
    assert said["disks"][0]["holds"][0] == "ledger"
    assert [copy["made"] for copy in said["ledger_copies"]] == [None]
