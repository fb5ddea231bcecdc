"""What sealing costs a month, item by item, and once to seal an existing archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from postamt_sync.aws import prices
from postamt_sync.bootstrap.bill import DAYS, BillItem
from postamt_sync.bootstrap.resources.lifecycle import ARCHIVE_AFTER_DAYS, INFREQUENT_AFTER_DAYS

SECONDS, FUNCTION_GB = 0.3, 0.25
"""Assumed for one mail."""
LEAST_IA_DAYS, LEAST_ARCHIVE_DAYS = 30, 90
"""The minimum days of storage that S3 charges in IA and in Glacier IR."""


def seal_items(
    mails: float, gigabytes: float, archive_days: float, plain_days: float, *, moved: bool
) -> Iterator[BillItem]:
    """Yield the items of a month with `mails` and `gigabytes` of new mail.

    `archive_days` is the age of the oldest mail, `plain_days` the time until mail is sealed.
    `moved`: mails are large enough for S3 to move them to cheaper classes.
    """
    # A PUT to seal and one to tag; a GET to read, one to verify, and a look each day until it goes.
    yield BillItem("S3", "sealing, PUT", 2 * mails, "requests", prices.S3_PUT)
    gets = mails * (2 + 2 * plain_days)
    yield BillItem("S3", "sealing, GET and tags", gets, "requests", prices.S3_GET)
    sealed = gigabytes / DAYS * max(0.0, archive_days - plain_days)
    kind = prices.S3_ARCHIVE_GB if moved else prices.S3_STANDARD_GB
    name = "Glacier IR" if moved else "Standard"
    yield BillItem("S3", f"sealed mail, {name}", sealed, "GB", kind)
    if moved:
        yield BillItem("S3", "sealed mail, move", mails, "mails", prices.S3_TO_ARCHIVE)
    seconds = mails * SECONDS * FUNCTION_GB
    time = replace(prices.LAMBDA_GB_SECOND, free=0)
    note = f"Assumed: {SECONDS:g} s with {FUNCTION_GB:g} GB for a mail."
    yield BillItem("Lambda", "sealing, time", seconds, "GB-s", time, note)


def beginning_items(
    mails: float, gigabytes: float, archive_days: float, *, moved: bool
) -> Iterator[BillItem]:
    """Yield the one-off costs of sealing an existing archive.

    Plain copies in IA or Glacier IR have to be read, and those moved there recently are charged for
    the minimum storage time, although they are deleted earlier.
    """
    count = mails / DAYS * archive_days
    yield BillItem("S3", "once: PUT", 2 * count, "requests", prices.S3_PUT)
    if not moved:
        return
    a_day = gigabytes / DAYS
    infrequent = max(0.0, min(archive_days, ARCHIVE_AFTER_DAYS) - INFREQUENT_AFTER_DAYS)
    archived = max(0.0, archive_days - ARCHIVE_AFTER_DAYS)
    read_ia, read_ir = prices.S3_INFREQUENT_READ_GB, prices.S3_ARCHIVE_READ_GB
    yield BillItem("S3", "once: reading from IA", a_day * infrequent, "GB", read_ia)
    note = "Plain copies in Glacier IR are read once, to be sealed."
    yield BillItem("S3", "once: reading from Glacier IR", a_day * archived, "GB", read_ir, note)
    note = "Deleted early: at least 30 days in IA and 90 in Glacier IR are charged."
    early = _early(infrequent, LEAST_IA_DAYS) * a_day / DAYS
    yield BillItem("S3", "once: IA, early", early, "GB-months", prices.S3_INFREQUENT_GB, note)
    early = _early(archived, LEAST_ARCHIVE_DAYS) * a_day / DAYS
    yield BillItem("S3", "once: Glacier IR, early", early, "GB-months", prices.S3_ARCHIVE_GB)


def _early(days_there: float, least: float) -> float:
    """Return the unit-days still to be paid, if one unit was added each day."""
    young = min(days_there, least)
    return young * (least - young / 2)
