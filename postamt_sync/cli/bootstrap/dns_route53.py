"""`postamt-sync bootstrap dns --route53`: shows what to write, asks, and writes it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.dns.dns_lookup import name_servers
from postamt_sync.bootstrap.dns.hosted_zone import hosted_zones, read
from postamt_sync.bootstrap.dns.record import Record
from postamt_sync.bootstrap.dns.route53 import ZonePlan, apply, plan_zone
from postamt_sync.cli.bootstrap.stack import agreed
from postamt_sync.cli.console import open_console, paragraph
from postamt_sync.errors import ExitCode, MisconfiguredError
from postamt_sync.quantities import count

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

_BY_HAND = "Enter the records where the DNS is hosted: postamt-sync bootstrap dns --format zone"


def apply_to_route53(
    aws: AwsClient,
    domains: Sequence[str],
    records: Sequence[Record],
    resolver: Resolver | None,
    *,
    yes: bool,
) -> ExitCode:
    """Show what would be written to the account's hosted zones, ask, and write it.

    Returns CONFIGURATION if a domain has no zone, or a record that mail needs is blocked.
    """
    console = open_console()
    zones = hosted_zones(aws, domains)
    if not zones:
        raise MisconfiguredError(
            f"This account has no public hosted zone for {' or '.join(domains)}.", _BY_HAND
        )
    plans = [
        plan_zone(read(aws, zone), [r for r in records if zones.get(r.domain) == zone])
        for zone in dict.fromkeys(zones.values())
    ]
    for plan in plans:
        _show(plan, resolver, console)
    homeless = [domain for domain in domains if domain not in zones]
    for domain in homeless:
        paragraph(console, f"{domain}: no hosted zone in this account. {_BY_HAND}")
    if any(plan.changes for plan in plans):
        agreed("Write this into Route 53?", yes=yes)
        for plan in plans:
            apply(aws, plan)
        print("Written; the world sees it within minutes, or when an old record's TTL is over.")
    blocked = any(not o.record.optional for plan in plans for o in plan.obstacles)
    return ExitCode.CONFIGURATION if blocked or homeless else ExitCode.OK


def _show(plan: ZonePlan, resolver: Resolver | None, console: Console) -> None:
    console.print(Text(f"Hosted zone {plan.zone.name} ({plan.zone.id})", style="bold"))
    console.print(Text(f"  there   {count(len(plan.there), 'record')} of ours"))
    for change in plan.changes:
        paragraph(console, change.message, "  ")
    for obstacle in plan.obstacles:
        message = f"in the way: {obstacle.problem} {obstacle.remedy}"
        paragraph(console, message, "  ", "red")
    if resolver is not None and (strangers := _strangers(plan, resolver)):
        paragraph(
            console,
            f"The world does not ask this zone, but {', '.join(strangers)}: enter "
            f"{', '.join(plan.name_servers)} as name servers at the registrar.",
            "  ",
            "red",
        )
    console.print()


def _strangers(plan: ZonePlan, resolver: Resolver) -> Sequence[str]:
    """Return the name servers published in the DNS if none of them are this zone's; else
    nothing."""
    asked = asyncio.run(name_servers(plan.zone.name, resolver))
    if asked is None or set(asked) & set(plan.name_servers):
        return ()
    return asked or ("nobody",)
