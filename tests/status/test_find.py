"""Where a mail is: ledger, Maildirs and bucket put together, whatever one of them lacks."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from postamt_sync.config import Settings
from postamt_sync.errors import TryLaterError
from postamt_sync.ledger import Delivery, DeliveryState, Ledger, ObjectState, Prepared
from postamt_sync.ledger.remembered_headers import MailHeader
from postamt_sync.ledger.tracks import read_word
from postamt_sync.mail.arrival import Arrival, Envelope, Evidence, Source, mail_id
from postamt_sync.mail.sent_mail import sent_key
from postamt_sync.status import maildir_search
from postamt_sync.status.find import Find, FindResult
from postamt_sync.status.stations import stations
from tests.status.test_header_memory import HEAD, lying

KEY = "in/a"


def look(settings: Settings, ledger: Ledger | None, *words: str) -> FindResult:
    work = Find(settings, ledger, None, [read_word(word) for word in words], None, 10)
    work.at_home()
    return work.end()


def told(result: FindResult, *, running: bool = True) -> list[tuple[str, str]]:
    (found,) = result.mails
    return [(each.name, each.text) for each in stations(found, 0.0, running=running)]


def announced(ledger: Ledger, source: Source = Source.WEBHOOK, key: str = KEY) -> str:
    envelope = Envelope(("anna@example.com",)) if source is Source.WEBHOOK else None
    ledger.arrivals.record(
        [Arrival("mail", key, source, etag="e1", size=2048, last_modified=100.0, envelope=envelope)]
    )
    ledger.headers.put([MailHeader(mail_id("mail", key), 100.0, "<m@x>", "C <c@x>", "A", "Tea")])
    return mail_id("mail", key)


def delivered(
    settings: Settings,
    ledger: Ledger,
    *mailboxes: int,
    part: str = "cur",
    evidence: Evidence = Evidence.RECEIPT,
    key: str = KEY,
    root: Path | None = None,
) -> list[Path]:
    """Deliver a mail; its files are where a mail client has left them. `root` is where it was
    delivered, if not into the mailboxes' Maildirs."""
    (task,) = ledger.work.due(0, 9, ())
    places = [settings.mailboxes[n] for n in mailboxes]
    paths = [lying(place.maildir, key, HEAD, part=part) for place in places]
    stem = paths[0].name.partition(",")[0]
    copies = tuple(
        Delivery(
            *(place.name, stem, DeliveryState.PREPARED, str(root or place.maildir)), "", "n", "sha"
        )
        for place in places
    )
    ledger.work.prepare([Prepared(task, "e1", 2048, 100.0, evidence, copies)])
    ledger.work.settle([(task, copies)])
    return paths


def test_every_station_of_a_mail_that_was_read(settings: Settings, ledger: Ledger) -> None:
    announced(ledger)
    (path,) = delivered(settings, ledger, 0)
    name = settings.mailboxes[0].name
    result = look(settings, ledger, "tea")
    assert told(result) == [
        ("stored", "by SES as in/a, 2.0 kB"),
        ("announced", "by the webhook"),
        ("fetched", "whole, and checked"),
        ("routed", f"to {name}, by the envelope of SES's receipt (anna@example.com)"),
        ("delivered", f"to {name}, now in INBOX, seen, flagged"),
    ]
    (found,) = result.mails
    assert [file.path for file in found.files] == [str(path)]


def test_each_mailbox_has_its_own_file(settings: Settings, ledger: Ledger) -> None:
    announced(ledger)
    delivered(settings, ledger, 0, 1, part="new")
    ends = [text for name, text in told(look(settings, ledger, "tea")) if name == "delivered"]
    names = sorted(settings.mailboxes[n].name for n in (0, 1))
    assert ends == [f"to {name}, now in INBOX, new" for name in names]


def test_a_moved_mail_is_found_in_its_folder(settings: Settings, ledger: Ledger) -> None:
    announced(ledger)
    (path,) = delivered(settings, ledger, 0)
    there = settings.mailboxes[0].maildir / ".B&APw-cher.2026" / "cur"
    there.mkdir(parents=True)
    path.rename(there / f"{path.name.partition(':')[0]}:2,")
    assert "now in Bücher/2026, not seen yet" in told(look(settings, ledger, "tea"))[-1][1]


def test_a_deleted_mail_is_told(settings: Settings, ledger: Ledger) -> None:
    announced(ledger)
    (path,) = delivered(settings, ledger, 0)
    path.unlink()
    assert "not there any more" in told(look(settings, ledger, "tea"))[-1][1]


@pytest.mark.parametrize(
    ("is_spool", "words"), [(True, "Dovecot has named its file"), (False, "not there any more")]
)
def test_only_what_lay_in_our_spool_was_handed_over(
    settings: Settings, ledger: Ledger, tmp_path: Path, is_spool: bool, words: str
) -> None:
    announced(ledger)
    above = settings.state_dir if is_spool else tmp_path / "disk of old"
    root = above / "lmtp" / settings.mailboxes[0].name
    (root / "new").mkdir(parents=True)
    (root / "cur").mkdir()
    (path,) = delivered(settings, ledger, 0, root=root)
    path.unlink()
    assert words in told(look(settings, ledger, "tea"))[-1][1]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Source.QUEUE, "by the queue"),
        (Source.DEAD_LETTER, "dead letter"),
        (Source.POLL, "the poll found it"),
        (Source.RECONCILE, "daily listing"),
        (Source.SYNC, "a sync found it"),
        (Source.SENT, "among what was sent"),
    ],
)
def test_it_tells_who_announced_a_mail(
    settings: Settings, ledger: Ledger, source: Source, words: str
) -> None:
    announced(ledger, source)
    assert words in dict(told(look(settings, ledger, "tea")))["announced"]


@pytest.mark.slow
@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("evidence", Evidence)
def test_there_are_words_for_every_source_and_all_evidence(
    settings: Settings, ledger: Ledger, source: Source, evidence: Evidence
) -> None:
    announced(ledger, source)
    delivered(settings, ledger, 0, evidence=evidence)
    said = dict(told(look(settings, ledger, "tea")))
    assert "by " in said["announced"]
    assert said["routed"].startswith(f"to {settings.mailboxes[0].name}, by ")


def test_what_was_sent_in_the_webmail_did_not_come_by_ses(
    settings: Settings, ledger: Ledger
) -> None:
    key = sent_key("anna", "2026-11", "d" * 20)
    announced(ledger, Source.SENT, key)
    delivered(settings, ledger, 0, evidence=Evidence.SENT, key=key)
    said = dict(told(look(settings, ledger, "tea")))
    assert said["stored"] == f"by the webmail as {key}, 2.0 kB"
    assert "who sent it in the webmail" in said["routed"]


def test_what_waits_says_why_and_until_when(settings: Settings, ledger: Ledger) -> None:
    announced(ledger)
    (task,) = ledger.work.due(0, 9, ())
    ledger.work.postpone(task, "The disk is full: /m.", 90.0, [("anna", "The disk is full: /m.")])
    said = dict(told(look(settings, ledger, "tea")))
    assert said["waits"] == "The disk is full: /m. (next attempt in 90 s)"
    said = dict(told(look(settings, ledger, "tea"), running=False))
    assert "the daemon is not running" in said["waits"]


def test_quarantined_says_why_and_what_to_do(settings: Settings, ledger: Ledger) -> None:
    mail = announced(ledger)
    (task,) = ledger.work.due(0, 9, ())
    ledger.work.end(task, ObjectState.QUARANTINED, "It is encrypted.")
    said = dict(told(look(settings, ledger, "tea")))["quarantined"]
    assert said == f"It is encrypted. Once that is fixed: postamt-sync quarantine retry {mail}"


@pytest.mark.parametrize("state", [ObjectState.ARCHIVED, ObjectState.GONE])
def test_the_last_station_tells_any_other_end(
    settings: Settings, ledger: Ledger, state: ObjectState
) -> None:
    announced(ledger)
    (task,) = ledger.work.due(0, 9, ())
    ledger.work.end(task, state)
    assert told(look(settings, ledger, "tea"))[-1][0] == state


def test_without_a_ledger_the_maildirs_tell(settings: Settings) -> None:
    path = lying(settings.mailboxes[0].maildir, KEY, HEAD)
    result = look(settings, None, "jorg", "tea")
    (found,) = result.mails
    assert found.header is not None
    assert found.header.message_id == "<one@sender.example>"
    assert [file.path for file in found.files] == [str(path)]
    assert look(settings, None, "coffee").mails == []


def test_what_is_not_remembered_is_read_off_its_file(settings: Settings, ledger: Ledger) -> None:
    announced(ledger)
    delivered(settings, ledger, 0)
    ledger.headers.erase()
    result = look(settings, ledger, "joerg@sender.example")
    assert result.mails[0].track is not None
    assert told(result)[-1][0] == "delivered"


def test_a_disk_that_hangs_keeps_nothing_else_from_being_found(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced(ledger)
    delivered(settings, ledger, 0, 1)
    forever, usual = threading.Event(), maildir_search.our_names
    bad = settings.mailboxes[0]

    def names(root: Path) -> object:
        if root == bad.maildir:
            forever.wait(60)
        return usual(root)

    monkeypatch.setattr(maildir_search, "our_names", names)
    search = maildir_search.MaildirSearch((), [read_word("tea")], (), patience=0.1)
    findings = search.through([(m.name, m.maildir) for m in settings.mailboxes[:2]])
    forever.set()
    assert findings.problems.keys() == {bad.name}
    assert "does not answer" in str(findings.problems[bad.name])
    assert [file.mailbox for _, file in findings.unknown] == [settings.mailboxes[1].name]


def test_a_maildir_that_is_not_there_is_told(settings: Settings, ledger: Ledger) -> None:
    announced(ledger)
    result = look(settings, ledger, "tea")
    assert [each.where for each in result.looked if each.problem] == [
        f"Maildir of {mailbox.name}" for mailbox in settings.mailboxes
    ]


def test_what_cannot_be_asked_is_told(settings: Settings, ledger: Ledger) -> None:
    work = Find(settings, ledger, None, [read_word("x")], None, 5)
    work.not_in("bucket", TryLaterError("The line is down.", "Wait."))
    assert work.end().looked[0].problem == "The line is down. Wait."


def test_no_more_than_asked_the_newest(settings: Settings, ledger: Ledger) -> None:
    for n in range(4):
        announced(ledger, key=f"in/{n}")
    work = Find(settings, ledger, None, [read_word("tea")], None, 3)
    work.at_home()
    result = work.end()
    assert (len(result.mails), result.more) == (3, True)
