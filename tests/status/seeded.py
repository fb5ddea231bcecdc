"""A ledger with a month of mail, and with everything that can be wrong, hostile text included."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from postamt_sync.ledger import Ledger, ObjectState, Prepared
from postamt_sync.ledger.incidents import Cause, Incident
from postamt_sync.ledger.store import FILE_NAME
from postamt_sync.mail.arrival import Evidence, Source
from tests.doubles.ledger import LATER, copy, listing, take

MARKUP = '<script>document.title = "taken"</script><img src="http://example.net/x" onerror=x>"\'&'
"""What a sender might hope to get into the page by way of a key or a reason."""
OVERRIDE = "\u202egnp.exe"
"""Turns the direction of what follows on a screen."""
PER_DAY = (4, 9, 0, 7, 12, 3, 1)
LATENCIES = (0.4, 0.8, 0.9, 1.5, 1.8, 2.5, 4.0, 7.0, 25.0, 200.0, 7000.0)


def began_long_ago(state_dir: Path) -> None:
    """Make all mail count as stored after this ledger began."""
    with closing(sqlite3.connect(state_dir / FILE_NAME)) as db, db:
        db.execute("UPDATE began SET at = 0")


def deliver(ledger: Ledger, key: str, ago: float, *mailboxes: str) -> None:
    """Deliver a mail that S3 stored so many seconds ago."""
    deliver_all(ledger, [(key, ago, mailboxes)])


def deliver_all(ledger: Ledger, mails: Sequence[tuple[str, float, tuple[str, ...]]]) -> None:
    """Deliver mails as one group: key, seconds since S3 stored it, mailboxes."""
    now = time.time()
    ledger.arrivals.record([listing(key=key, last_modified=now - ago) for key, ago, _ in mails])
    tasks = {task.key: task for task in ledger.work.due(LATER, 1000, ())}
    prepared = [
        Prepared(
            task=tasks[key],
            etag="e1",
            size=100,
            last_modified=now - ago,
            evidence=Evidence.RECEIPT,
            copies=tuple(copy(mailbox, f"{key}.{mailbox}") for mailbox in mailboxes),
        )
        for key, ago, mailboxes in mails
    ]
    ledger.work.prepare(prepared)
    ledger.work.settle([(mail.task, mail.copies) for mail in prepared])


def a_good_month(ledger: Ledger, state_dir: Path) -> None:
    """A month of mail, of which only the last was delivered as it came; and nothing wrong."""
    deliver_all(
        ledger,
        [
            (f"incoming/{day}.{number}", day * 86_400.0 + 60, ("anna",))
            for day in range(30)
            for number in range(PER_DAY[day % len(PER_DAY)])
        ],
    )
    began_long_ago(state_dir)
    deliver_all(
        ledger,
        [
            (f"incoming/t{number}", seconds, ("anna", "bruno") if number % 2 else ("bruno",))
            for number, seconds in enumerate(LATENCIES)
        ],
    )
    ledger.overview.source_ok(Source.POLL, "212 listed, 0 new")
    ledger.overview.source_ok(Source.RECONCILE, "1204 listed, 0 new")


def everything_wrong(ledger: Ledger) -> None:
    """A source, a mailbox, mail that waits and mail that is quarantined."""
    ledger.overview.source_bad(Source.WEBHOOK, f"Nobody confirmed. {MARKUP}")
    for number in range(25):
        ledger.arrivals.record([listing(key=f"incoming/w{number}", last_modified=time.time())])
    ledger.arrivals.record([listing(key=f"incoming/{MARKUP}{'k' * 400}", last_modified=1.0)])
    ledger.work.postpone(
        take(ledger, f"incoming/{MARKUP}{'k' * 400}"),
        f"The disk of bruno is full. {MARKUP}",
        time.monotonic() + 90,
        [("bruno", "The disk of bruno is full.")],
    )
    ledger.arrivals.record([listing(key=f"incoming/{OVERRIDE}", last_modified=2.0)])
    ledger.work.end(
        take(ledger, f"incoming/{OVERRIDE}"),
        ObjectState.QUARANTINED,
        f"The mail is encrypted by SES. {MARKUP}",
    )
    ledger.incidents.happened(
        [
            Incident(Cause.BOUNCES, f"b{n}", time.time() - n, f"It came back. {MARKUP}")
            for n in range(12)
        ]
    )
    ledger.incidents.lasting(Cause.DISK, {"/": "The disk has 1 % left."}, time.time() - 3600)
    ledger.arrivals.keep_notification(Source.WEBHOOK, f"not JSON {MARKUP}", "???")
