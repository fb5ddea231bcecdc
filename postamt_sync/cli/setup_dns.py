"""The DNS part of `setup`: ticks off each record once it can be seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from postamt_sync.bootstrap.dns.authority import authority_of
from postamt_sync.bootstrap.dns.dns_check import DnsFinding, DnsVerdict
from postamt_sync.bootstrap.dns.dns_lookup import look_up, resolver_at
from postamt_sync.bootstrap.dns.record import Record
from postamt_sync.cli.console import paragraph
from postamt_sync.quantities import count

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

SHORTEST, LONGEST = 3.0, 30.0
"""Seconds between two look-ups; the pause grows while nothing changes."""


def watch(
    records: Sequence[Record],
    address: str,
    console: Console,
    *,
    wait: bool,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Look up the records until those that mail needs are there, and tick off each as it appears.

    Asks the domain's own name servers, whose answers are not cached, or the resolver at `address`.
    Without `wait`, look only once. Returns whether mail can be received and sent.
    """
    pending = list(records)
    said: set[str] = set()
    pause = SHORTEST
    while True:
        findings = _look(pending, address)
        there = [one for one in findings if _is_there(one)]
        for one in there:
            _tick(console, one)
        _say_problems(console, findings, said)
        pending = [one.record for one in findings if not _is_there(one)]
        needed = [record for record in pending if not record.optional]
        if not needed or not wait:
            for record in pending:
                if record.optional or not wait:
                    _open(console, record)
            return not needed
        pause = SHORTEST if there else min(LONGEST, pause * 1.5)
        words = f"Waiting for {count(len(needed), 'record')}. Ctrl-C stops."
        with console.status(words) if console.is_terminal else nullcontext():
            sleep(pause)


def _look(records: Sequence[Record], address: str) -> list[DnsFinding]:
    found: list[DnsFinding] = []
    for domain in dict.fromkeys(record.domain for record in records):
        resolver: Resolver = resolver_at(address)
        if not address:
            resolver = asyncio.run(authority_of(domain, resolver)) or resolver
        ours = [record for record in records if record.domain == domain]
        found += asyncio.run(look_up(ours, resolver))
    return found


def _is_there(finding: DnsFinding) -> bool:
    return finding.verdict in {DnsVerdict.SEEN, DnsVerdict.WILL_DO}


def _tick(console: Console, finding: DnsFinding) -> None:
    record = finding.record
    line = Text.assemble(("ok   ", "green"), f"{record.type:<6}{record.name}")
    console.print(line, soft_wrap=True)


def _open(console: Console, record: Record) -> None:
    mark = "-    " if record.optional else "..   "
    more = "   (optional)" if record.optional else ""
    console.print(Text(f"{mark}{record.type:<6}{record.name}{more}"), soft_wrap=True)


def _say_problems(console: Console, findings: Sequence[DnsFinding], said: set[str]) -> None:
    for one in findings:
        known = one.just_missing or one.verdict is DnsVerdict.UNKNOWN
        words = f"{one.problem} {one.remedy}".strip()
        if one.problem and not known and not _is_there(one) and words not in said:
            said.add(words)
            paragraph(console, words, "     ", "yellow")
