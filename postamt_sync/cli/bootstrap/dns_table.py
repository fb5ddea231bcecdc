"""The records for people and for programs, with what the DNS has of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from postamt_sync.bootstrap.dns.dns_check import DnsFinding, DnsVerdict
from postamt_sync.bootstrap.dns.record import Record

_STYLES = {
    DnsVerdict.SEEN: "green",
    DnsVerdict.WILL_DO: "green",
    DnsVerdict.MISSING: "yellow",
    DnsVerdict.DIFFERENT: "red",
    DnsVerdict.UNKNOWN: "yellow",
}


def show(
    records: Sequence[Record], dns_findings: Sequence[DnsFinding] | None, console: Console
) -> None:
    """Print the records, name over value so that both can be copied, then what is to be done."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Type")
    table.add_column("Name, and its value", overflow="fold")
    table.add_column("Now" if dns_findings is not None else "")
    for number, record in enumerate(records):
        dns_finding = dns_findings[number] if dns_findings is not None else None
        table.add_row(record.type, Text(f"{record.name}\n{record.data}"), _now(record, dns_finding))
    console.print(table)
    for dns_finding in dns_findings or ():
        if dns_finding.problem and dns_finding.verdict is not DnsVerdict.MISSING:
            console.print()
            console.print(Text(f"{dns_finding.problem} {dns_finding.remedy}".rstrip()))


def as_json(
    records: Sequence[Record], dns_findings: Sequence[DnsFinding] | None
) -> list[dict[str, Any]]:
    """Return each record with what the DNS has of it; `now` is null where nobody looked."""
    looked: Sequence[DnsFinding | None] = dns_findings or [None] * len(records)
    return [
        {
            "domain": record.domain,
            "purpose": record.purpose,
            "name": record.name,
            "type": record.type,
            "ttl": record.ttl,
            "value": record.data,
            "optional": record.optional,
            "note": record.note,
            "now": None if dns_finding is None else dns_finding.verdict,
            "seen": [] if dns_finding is None else list(dns_finding.seen),
            "problem": "" if dns_finding is None else dns_finding.problem,
            "remedy": "" if dns_finding is None else dns_finding.remedy,
        }
        for record, dns_finding in zip(records, looked, strict=True)
    ]


def _now(record: Record, dns_finding: DnsFinding | None) -> Text:
    optional = "\n(optional)" if record.optional else ""
    if dns_finding is None:
        return Text(optional.strip("\n"))
    return Text(f"{dns_finding.verdict}{optional}", style=_STYLES[dns_finding.verdict])
