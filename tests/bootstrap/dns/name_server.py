"""What a name server of ours is told, and what we then find by asking it."""

from __future__ import annotations

from postamt_sync.bootstrap.dns.dns_check import DnsFinding
from postamt_sync.bootstrap.dns.dns_lookup import look_up
from postamt_sync.bootstrap.dns.record import Record
from tests.doubles.dns import NameServer

PATIENCE = 30.0
"""Seconds, for answers that come; nothing waits that long."""
IMPATIENCE = 0.2
"""Seconds, for answers that never come."""


def publish(server: NameServer, *records: Record) -> None:
    for record in records:
        server.add(record.name, record.type, record.data)


async def look(server: NameServer, *records: Record, seconds: float = PATIENCE) -> list[DnsFinding]:
    return list(await look_up(records, server.resolver, seconds))
