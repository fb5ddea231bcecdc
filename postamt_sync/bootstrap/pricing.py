"""Estimates AWS's bill for a month, item by item, before anything is built."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from postamt_sync.aws import prices
from postamt_sync.aws.clients import LONG_POLL_SECONDS
from postamt_sync.bootstrap.bill import DAYS, Bill, BillItem
from postamt_sync.bootstrap.resources.lifecycle import (
    ARCHIVE_AFTER_DAYS,
    INFREQUENT_AFTER_DAYS,
)
from postamt_sync.bootstrap.seal_pricing import beginning_items, seal_items
from postamt_sync.bootstrap.stack_part import RECENT_DAYS
from postamt_sync.bootstrap.webmail_pricing import webmail_items

SMALLEST_MOVED_KB = 128
"""Lifecycle rules do not move smaller objects (S3 User Guide, "Transitioning objects")."""
CHUNK_KB = 256
"""SES bills received data in chunks of this size."""
PAGE = 1000
"""Keys in one page of a LIST."""

NOTIFICATIONS = 2
"""For each mail: one from S3 and one from SES."""
LAMBDA_SECONDS, LAMBDA_GB = 0.3, 0.25
"""Assumed for one notification."""
LOG_KB = 1
"""Assumed for one notification."""
INDEX_KB = 2
"""Assumed for one mail in the index, and counted twice: the table has a second index, by time."""
METRICS_AN_HOUR = 2


@dataclass(frozen=True, slots=True)
class Usage:
    """What the bill depends on.

    `mail_kb` is the average size in units of 1024 bytes, `years` the age of the archive in the
    billed month. Without `recent`, each poll lists the whole archive.
    """

    mails_per_day: float
    mail_kb: float = 75
    years: float = 1
    sent_per_day: float = 0
    poll_seconds: float = 300
    webhook: bool = True
    recent: bool = True
    webmail_hours: float | None = None
    """Hours a month for which somebody uses the webmail; None without one."""
    plain_days: float | None = None
    """Days until mail is sealed; None without sealing."""

    @property
    def mails(self) -> float:
        """Mails a month."""
        return self.mails_per_day * DAYS

    @property
    def gigabytes(self) -> float:
        """Gigabytes (1024³ bytes) a month."""
        return self.mails * self.mail_kb / 1024**2

    @property
    def archive_days(self) -> float:
        return self.years * 12 * DAYS

    @property
    def is_moved(self) -> bool:
        """Whether mails are large enough for lifecycle rules to move them."""
        return self.mail_kb >= SMALLEST_MOVED_KB

    @property
    def polls(self) -> float:
        """Polls a month."""
        return DAYS * 86400 / self.poll_seconds


def bill(usage: Usage) -> Bill:
    """Return the bill for the last month of `usage.years`."""
    items = (
        *_ses(usage),
        *_s3(usage),
        _listing(usage, recent=usage.recent),
        _reconcile(usage),
        *_announcing(usage),
        *_index(usage),
        *_watching(usage),
        *_webmail(usage),
        *_sealing(usage),
    )
    spared = (_listing(usage, recent=False),) if usage.recent else ()
    return Bill(items, spared, tuple(_beginning_to_seal(usage)))


def _ses(usage: Usage) -> Iterator[BillItem]:
    yield BillItem("SES", "mail received", usage.mails, "mails", prices.SES_RECEIVED)
    chunks = usage.mails * math.ceil(usage.mail_kb / CHUNK_KB)
    note = "At most: a partial chunk of 256 KB is counted as a whole one."
    yield BillItem("SES", "data received", chunks, "chunks", prices.SES_CHUNK, note)
    if usage.sent_per_day:
        sent = usage.sent_per_day * DAYS
        yield BillItem("SES", "mail sent", sent, "mails", prices.SES_SENT)
        sent_gb = sent * usage.mail_kb / 1024**2
        yield BillItem("SES", "data sent", sent_gb, "GB", prices.SES_SENT_GB)


def _s3(usage: Usage) -> Iterator[BillItem]:
    copies = 2 if usage.recent else 1
    yield BillItem("S3", "PUT, by SES", usage.mails * copies, "requests", prices.S3_PUT)
    # The whole mail by the daemon, its header by the index.
    yield BillItem("S3", "GET", 2 * usage.mails, "requests", prices.S3_GET)
    moved = usage.is_moved
    a_day = usage.gigabytes / DAYS
    age = min(usage.archive_days, usage.plain_days or usage.archive_days)
    young = min(age, INFREQUENT_AFTER_DAYS) if moved else age
    recent = min(age, RECENT_DAYS) if usage.recent else 0
    yield BillItem(
        *("S3", "storage, Standard", a_day * (young + recent), "GB", prices.S3_STANDARD_GB),
        "" if moved else "Mails under 128 KB stay here for good; all are counted as average ones.",
    )
    if not moved:
        return
    middle = max(0.0, min(age, ARCHIVE_AFTER_DAYS) - INFREQUENT_AFTER_DAYS)
    old = max(0.0, age - ARCHIVE_AFTER_DAYS)
    note = "Reading costs extra."
    yield BillItem("S3", "storage, IA", a_day * middle, "GB", prices.S3_INFREQUENT_GB, note)
    yield BillItem("S3", "storage, Glacier IR", a_day * old, "GB", prices.S3_ARCHIVE_GB, note)
    if middle:
        yield BillItem("S3", "move to IA", usage.mails, "mails", prices.S3_TO_INFREQUENT)
    if old:
        yield BillItem("S3", "move to Glacier IR", usage.mails, "mails", prices.S3_TO_ARCHIVE)


def _listing(usage: Usage, *, recent: bool) -> BillItem:
    days = min(usage.archive_days, RECENT_DAYS) if recent else usage.archive_days
    pages = _pages(usage.mails_per_day * days)
    what = "LIST, poll" if recent else "LIST, poll, all"
    note = "" if recent else "What each poll would cost that lists everything."
    return BillItem("S3", what, usage.polls * pages, "requests", prices.S3_PUT, note)


def _reconcile(usage: Usage) -> BillItem:
    pages = _pages(usage.mails_per_day * usage.archive_days)
    return BillItem("S3", "LIST, daily, all", DAYS * pages, "requests", prices.S3_PUT)


def _pages(keys: float) -> int:
    return max(1, math.ceil(keys / PAGE))


def _announcing(usage: Usage) -> Iterator[BillItem]:
    notifications = usage.mails * NOTIFICATIONS
    yield BillItem("SNS", "published", notifications, "notifications", prices.SNS_PUBLISH)
    if usage.webhook:
        yield BillItem("SNS", "to the webhook", notifications, "notifications", prices.SNS_HTTP)
        looks = 2 * usage.polls
    else:
        looks = DAYS * 86400 / LONG_POLL_SECONDS
    # Sent, received, deleted.
    requests = 3 * notifications + looks
    yield BillItem("SQS", "queues", requests, "requests", prices.SQS_REQUEST)


def _index(usage: Usage) -> Iterator[BillItem]:
    runs = usage.mails * NOTIFICATIONS
    yield BillItem("Lambda", "runs", runs, "runs", prices.LAMBDA_REQUEST)
    seconds = runs * LAMBDA_SECONDS * LAMBDA_GB
    note = f"Assumed: {LAMBDA_SECONDS:g} s with {LAMBDA_GB:g} GB for a run."
    yield BillItem("Lambda", "time", seconds, "GB-s", prices.LAMBDA_GB_SECOND, note)
    writes = runs * 2 * INDEX_KB
    note = f"Assumed: {INDEX_KB} KB for a mail, kept twice."
    yield BillItem("DynamoDB", "writes", writes, "WRU", prices.DYNAMODB_WRITE, note)
    listed = runs * INDEX_KB
    note = f"Assumed: {INDEX_KB} KB for a mail in the list of its mailbox."
    yield BillItem("DynamoDB", "writes, lists", listed, "WRU", prices.DYNAMODB_WRITE, note)
    yield BillItem("DynamoDB", "reads", runs, "RRU", prices.DYNAMODB_READ)
    kept = usage.mails_per_day * usage.archive_days * 2 * INDEX_KB / 1024**2
    yield BillItem("DynamoDB", "storage", kept, "GB", prices.DYNAMODB_GB)
    yield BillItem("DynamoDB", "backup", kept, "GB", prices.DYNAMODB_BACKUP_GB)


def _watching(usage: Usage) -> Iterator[BillItem]:
    metrics = DAYS * 24 * METRICS_AN_HOUR
    yield BillItem("CloudWatch", "metrics read", metrics, "metrics", prices.CLOUDWATCH_METRIC)
    logged = usage.mails * NOTIFICATIONS * LOG_KB / 1024**2
    yield BillItem("CloudWatch", "logs", logged, "GB", prices.CLOUDWATCH_LOGS_GB)
    yield BillItem("S3", "traffic home", usage.gigabytes, "GB", prices.EGRESS_GB)


def _webmail(usage: Usage) -> Iterator[BillItem]:
    if usage.webmail_hours is not None:
        yield from webmail_items(usage.webmail_hours, usage.sent_per_day * DAYS)


def _sealing(usage: Usage) -> Iterator[BillItem]:
    if usage.plain_days is not None:
        yield from seal_items(
            *(usage.mails, usage.gigabytes, usage.archive_days, usage.plain_days),
            moved=usage.is_moved,
        )


def _beginning_to_seal(usage: Usage) -> Iterator[BillItem]:
    if usage.plain_days is not None:
        yield from beginning_items(
            usage.mails, usage.gigabytes, usage.archive_days, moved=usage.is_moved
        )
