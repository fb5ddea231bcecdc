"""Names that scripts and dashboards of others depend on. Adding is fine, changing is not.

Log events are in `test_events.py`, exit codes in `test_errors.py`, migrations in
`ledger/test_schema.py`, options in `config/test_example.py`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from postamt_sync.app.sync import SyncResult
from postamt_sync.cli.findings import report as report_findings
from postamt_sync.cli.found_mails import as_json as find_as_json
from postamt_sync.cli.sync import as_json as sync_as_json
from postamt_sync.cli.verify import as_json as verify_as_json
from postamt_sync.config import load
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.errors import TryLaterError
from postamt_sync.index.entry import (
    Acceptance,
    Basis,
    Header,
    IndexEntry,
    KnownFacts,
    ReceivedFor,
    Stored,
)
from postamt_sync.index.entry_item import to_item
from postamt_sync.index.list_facts import ListFacts
from postamt_sync.index.lists import lines_of
from postamt_sync.index.summary import Summary
from postamt_sync.ledger import DeliveryState, Ledger, ObjectState
from postamt_sync.ledger.absences import Absence
from postamt_sync.ledger.incidents import Cause
from postamt_sync.ledger.rows import AbsenceState, DueState, EnvelopeState
from postamt_sync.ledger.sync_runs import SyncTotals
from postamt_sync.ledger.tracks import read_word
from postamt_sync.mail.arrival import Envelope, Evidence, Source, Verdicts
from postamt_sync.mail.handed_routes import ROUTES_KEY, HandedRoutes
from postamt_sync.mail.routing import Addressee
from postamt_sync.mail.seal_table import (
    MAIL_PLACE,
    PROVED_AT,
    SETTLED_BEFORE,
    STATE,
    WATERMARK,
    WRITTEN_AT,
    mail_place,
    proof_id,
    seal_table_name,
    written_time,
)
from postamt_sync.mail.sealed_name import FINGERPRINTS, SEALED_TAG, SHA256, VERSION, SealedName
from postamt_sync.recovery.difference import Compared, Difference, DifferenceKind
from postamt_sync.status.bucket_search import BucketFindings, BucketObject
from postamt_sync.status.find import Find
from postamt_sync.status.metrics import render
from postamt_sync.status.report import Runtime, StatusReport, as_json, read_report
from tests.status.pictures import name_all
from tests.status.seeded import a_good_month, everything_wrong
from tests.status.test_header_memory import HEAD, lying
from tests.support.household import configure

STATUS = """
absent[].first absent[].last absent[].mailbox absent[].mails
alerts[].cause alerts[].detail alerts[].lasting alerts[].since alerts[].told
daemon
days[].day days[].mails
last_mail
latency.classes[].copies latency.classes[].within latency.copies latency.seconds
mailboxes[].absent mailboxes[].delivered mailboxes[].last_delivered mailboxes[].name
mailboxes[].problem mailboxes[].waiting
mails.absent mails.adopted mails.archived mails.delivered mails.gone mails.quarantined
mails.skipped mails.waiting
not_understood.count not_understood.last_reason
disks[].free disks[].holds[] disks[].path disks[].size
latest[].from latest[].mail latest[].received latest[].state latest[].subject
latest[].took
ledger_copies[].directory ledger_copies[].made
next_poll
quarantine[].from quarantine[].key quarantine[].mail quarantine[].problem quarantine[].since
quarantine[].subject
sources[].detail sources[].last_ok sources[].last_problem_at sources[].name sources[].problem
waiting[].attempts waiting[].awaits_envelope waiting[].key waiting[].mail
waiting[].from waiting[].next_attempt_in waiting[].problem waiting[].since waiting[].subject
"""

VERIFY = """
adopted
counts.absent counts.archived counts.away counts.changed counts.damaged counts.gone counts.missing
counts.quarantined counts.stray counts.undelivered counts.unindexed counts.unknown counts.waiting
differences[].detail differences[].key differences[].kind differences[].mail
differences[].mailbox differences[].path
files
objects
under_way
"""

SYNC = """
archived bytes delivered dry_run error failed gone hint known listed quarantined seconds skipped
waiting
"""

FINDINGS = "findings[].outcome findings[].remedy findings[].subject findings[].words"
"""Of `doctor` and `bootstrap verify`."""

FIND = """
looked[].mails looked[].problem looked[].where
mails[].bucket.key mails[].bucket.problem mails[].bucket.size mails[].bucket.storage_class
mails[].bucket.stored
mails[].copies[].delivered mails[].copies[].mailbox mails[].copies[].problem mails[].copies[].state
mails[].evidence
mails[].files[].flags[] mails[].files[].folder mails[].files[].mailbox mails[].files[].path
mails[].from mails[].key mails[].mail mails[].message_id mails[].problem mails[].received
mails[].recipients[] mails[].size mails[].source mails[].state
mails[].stations[].at mails[].stations[].station mails[].stations[].text
mails[].subject mails[].to
more
words[]
"""

METRICS = """
postamt_sync_alerts cause
postamt_sync_bucket_readable
postamt_sync_build_info version
postamt_sync_delivery_latency_seconds_bucket le
postamt_sync_delivery_latency_seconds_count
postamt_sync_delivery_latency_seconds_sum
postamt_sync_heartbeat_failing
postamt_sync_mailbox_delivered_total mailbox
postamt_sync_mailbox_last_delivery_timestamp_seconds mailbox
postamt_sync_mailbox_waiting mailbox
postamt_sync_mails state
postamt_sync_notices_not_understood
postamt_sync_settled_bytes_total
postamt_sync_settled_mails_total
postamt_sync_source_failing source
postamt_sync_source_last_success_timestamp_seconds source
postamt_sync_webhook_refused_total status
postamt_sync_webhook_taken_total outcome
"""
"""Each with its labels."""

STORED_WORDS = {
    ObjectState: "absent adopted archived delivered gone quarantined skipped waiting",
    DeliveryState: "absent delivered prepared quarantined waiting",
    DueState: "backfill first held later",
    EnvelopeState: "awaited in_vain unknown",
    AbsenceState: "none seen unseen",
    Source: "dead-letter index poll queue reconcile sync webhook",
    Evidence: "default headers receipt received",
    Cause: (
        "absent bounces certificate complaints credentials dead_letters disk lost_files mailbox "
        "publishing quarantine sealing silence"
    ),
}
"""In the ledger, in JSON and in labels."""


INDEX_ITEM = """
accepted_by attachment cc date digest dkim dmarc dmarc_policy etag facts_of from header_of key
message_id month own_id received_at received_for received_for_of recipients references sealed sender
sequencer size spam spf subject to virus
"""
"""Attributes of an item of the index, and of a line of the lists."""

SEALED_KEYS = {
    ("4k1s0v", 1_795_877_087, "d41d8cd98f00b204e9800998ecf8427e", 0): (
        "sealed/4k1s0v/20261128T144447Z.d41d8cd98f00b204e9800998ecf8427e.0.pgp"
    ),
    ("a/b c%20ü.pgp", 0, "0-17", 41_943_040): (
        "sealed/a/b c%20ü.pgp/19700101T000000Z.0-17.41943040.pgp"
    ),
}
"""Of a mail's id, LastModified, ETag and size: where its sealed object lies, for good."""

LISTS = "anna#ids anna#inbox"
"""Names of a mailbox's lists; `junk` is held by `tests/index/test_lists.py`."""


def keys(value: Any, path: str = "") -> Iterator[str]:
    """Yield where values lie in an object."""
    match value:
        case dict():
            for name, below in value.items():
                yield from keys(below, f"{path}.{name}" if path else name)
        case list():
            for below in value:
                yield from keys(below, f"{path}[]")
        case _:
            yield path


def missing(listed: str, found: set[str]) -> set[str]:
    return set(listed.split()) - found


@pytest.fixture
def status(tmp_path: Path) -> Iterator[StatusReport]:
    """A report in which nothing is empty."""
    settings = load(configure(tmp_path), {})
    ledger = Ledger.open(settings.state_dir)
    a_good_month(ledger, settings.state_dir)
    everything_wrong(ledger)
    name_all(ledger)
    report = read_report(settings, ledger)
    yield dataclasses.replace(report, absences=[Absence("anna", 1, 0.0, 0.0)])
    ledger.close()


def test_keys_of_status(status: StatusReport) -> None:
    assert not missing(STATUS, set(keys(as_json(status))))


def test_keys_of_find(status: StatusReport, tmp_path: Path) -> None:
    settings = load(configure(tmp_path), {})
    ledger = Ledger.open(settings.state_dir)
    lying(settings.mailboxes[0].maildir, "incoming/1.0", HEAD)
    work = Find(settings, ledger, None, [read_word("incoming/1.0")], None, 1)
    work.at_home()
    (mail,) = work.end().mails
    work.in_bucket(BucketFindings({mail.mail: BucketObject("incoming/1.0")}))
    work.in_index({"incoming/1.0": Envelope(("anna@example.com",))}, 1)
    assert mail.files
    assert not missing(FIND, set(keys(find_as_json(work.end(), ["x"]))))
    ledger.close()


def test_keys_of_verify() -> None:
    found = verify_as_json(Compared(), [Difference(DifferenceKind.STRAY)])
    assert not missing(VERIFY, set(keys(found)))


def test_keys_of_sync() -> None:
    result = SyncResult(SyncTotals(), dry_run=True, error=TryLaterError("No network."))
    assert not missing(SYNC, set(keys(sync_as_json(result))))


def test_keys_of_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    report_findings([Finding("clock", Severity.FAILURE, "It is late.", "Set it.")], json=True)
    assert not missing(FINDINGS, set(keys(json.loads(capsys.readouterr().out))))


def test_names_and_labels_of_metrics(status: StatusReport) -> None:
    runtime = Runtime(
        notifications_taken={"taken": 1},
        notifications_refused={403: 1},
        heartbeat_failing=False,
    )
    found = {
        " ".join([sample.name, *sorted(sample.labels)])
        for family in text_string_to_metric_families(render(status, runtime).decode())
        for sample in family.samples
        if sample.name.startswith("postamt_sync_")
    }
    assert not set(filter(None, METRICS.splitlines())) - found


@pytest.mark.parametrize("words", STORED_WORDS)
def test_stored_words(words: Any) -> None:
    assert not missing(STORED_WORDS[words], {str(word).replace(" ", "_") for word in words})


def test_names_in_the_index_and_the_lists() -> None:
    entry = IndexEntry(
        "m",
        "incoming/m",
        frozenset({"anna@example.com"}),
        Acceptance(Basis.RECEIPT, "2026-11-27T10:00:00.000Z", "a@b", Verdicts(*["PASS"] * 6)),
        Header(Basis.RECEIPT, Summary("f", "t", "c", "s", "d")),
        Stored("e", 1, "0a"),
        KnownFacts(Basis.RECEIPT, ListFacts("o@x", ("r@x",), attachment=True)),
        ReceivedFor(Basis.RECEIPT, "anna@example.com"),
        sealed=True,
    )
    item = to_item(entry)
    assert not missing(INDEX_ITEM, set(item))
    routes = HandedRoutes((Addressee("anna", ("anna@example.com",), default=True),))
    lines = [joined.partition("\n") for joined in lines_of(entry, item, routes)]
    assert {name for name, _, _ in lines} == set(LISTS.split())
    assert {line for name, _, line in lines if name == "anna#inbox"} == {
        "2026-11-27T10:00:00.000Z#m"
    }
    assert ROUTES_KEY == {"list": {"S": "#routes"}, "line": {"S": "#"}}
    assert not missing("form mailboxes folders", set(json.loads(routes.to_json())))


@pytest.mark.parametrize("mail", SEALED_KEYS)
def test_keys_of_sealed_mail(mail: tuple[str, int, str, int]) -> None:
    own_id, time, etag, size = mail
    name = SealedName(own_id, datetime.fromtimestamp(time, UTC), etag, size)
    assert name.key("sealed/") == SEALED_KEYS[mail]


def test_names_at_aws_of_what_is_sealed() -> None:
    assert SEALED_TAG == ("postamt-seal", "sealed")
    assert (SHA256, VERSION, FINGERPRINTS) == ("sha256", "version", "fingerprints")
    assert seal_table_name("postamt") == "postamt-seal"
    assert (WATERMARK, SETTLED_BEFORE, WRITTEN_AT) == ("watermark", "settled_before", "written_at")
    assert MAIL_PLACE == "mail_place"
    assert mail_place("mail", "incoming/") == "mail/incoming/"
    assert (STATE, PROVED_AT) == ("state", "proved_at")
    assert proof_id(["AB" * 20]) == (
        "proof#9075068f680e2528afc7b2015b51d7c5597c00cd9826319328432689e7bd54b3"
    )
    assert written_time(datetime.fromtimestamp(0, UTC)) == "1970-01-01T00:00:00Z"
