"""A stack, and the records that it needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from postamt_sync.bootstrap.dns.record import Purpose, Record
from postamt_sync.bootstrap.dns.records import DomainAtSes, Servers, records
from postamt_sync.bootstrap.stack import Stack

STACK = Stack(
    name="postamt",
    account="123456789012",
    region="eu-west-1",
    bucket="postamt-123456789012-eu-west-1-an",
    domains=("example.com",),
)
KNOWN = DomainAtSes(("aaa111", "bbb222", "ccc333"), "dkim.amazonses.com")
SERVERS = Servers("home.example.com")
OF_THE_WEBMAIL = tuple(
    Record("example.com", purpose, f"{name}.example.com", "CNAME", f"{value}.", "")
    for purpose, name, value in (
        (Purpose.CERTIFICATE, "_a1.webmail", "_b2.acm-validations.aws"),
        (Purpose.WEBMAIL, "webmail", "d111111abcdef8.cloudfront.net"),
    )
)


def stack(**changes: Any) -> Stack:
    return replace(STACK, **changes)


def wanted(**changes: Any) -> tuple[Record, ...]:
    changed = stack(**changes)
    return records(changed, dict.fromkeys(changed.domains, KNOWN), SERVERS)


def the(purpose: Purpose, among: tuple[Record, ...] | None = None) -> Record:
    """Return the first record of this purpose."""
    return next(r for r in among or (*wanted(), *OF_THE_WEBMAIL) if r.purpose is purpose)
