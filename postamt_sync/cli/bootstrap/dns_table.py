"""The records for people and for programs, with what the DNS has of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from postamt_sync.bootstrap.dns.dns_check import Sighting, Verdict
from postamt_sync.bootstrap.dns.record import Record

_STYLES = {
    Verdict.SEEN: "green",
    Verdict.WILL_DO: "green",
    Verdict.MISSING: "yellow",
    Verdict.DIFFERENT: "red",
    Verdict.UNKNOWN: "yellow",
}


def show(records: Sequence[Record], sightings: Sequence[Sighting] | None, console: Console) -> None:
    """Print the records, name over value so that both can be copied, then what is to be done."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Type")
    table.add_column("Name, and its value", overflow="fold")
    table.add_column("Now" if sightings is not None else "")
    for number, record in enumerate(records):
        sighting = sightings[number] if sightings is not None else None
        table.add_row(record.type, Text(f"{record.name}\n{record.data}"), _now(record, sighting))
    console.print(table)
    for sighting in sightings or ():
        if sighting.problem and sighting.verdict is not Verdict.MISSING:
            console.print()
            console.print(Text(f"{sighting.problem} {sighting.remedy}".rstrip()))


def as_json(
    records: Sequence[Record], sightings: Sequence[Sighting] | None
) -> list[dict[str, Any]]:
    """Return each record with what the DNS has of it; `now` is null where nobody looked."""
    looked: Sequence[Sighting | None] = sightings or [None] * len(records)
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
            "now": None if sighting is None else sighting.verdict,
            "seen": [] if sighting is None else list(sighting.seen),
            "problem": "" if sighting is None else sighting.problem,
            "remedy": "" if sighting is None else sighting.remedy,
        }
        for record, sighting in zip(records, looked, strict=True)
    ]


def _now(record: Record, sighting: Sighting | None) -> Text:
    optional = "\n(optional)" if record.optional else ""
    if sighting is None:
        return Text(optional.strip("\n"))
    return Text(f"{sighting.verdict}{optional}", style=_STYLES[sighting.verdict])
