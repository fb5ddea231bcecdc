"""The records into Route 53: shown, asked, written."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import boto3
import typer
from botocore.exceptions import ClientError
from rich.console import Console
from rich.text import Text

from postamt_sync.bootstrap.hosted_zone import hosted_zones, read
from postamt_sync.bootstrap.probe import name_servers
from postamt_sync.bootstrap.record import Record
from postamt_sync.bootstrap.route53 import ZonePlan, apply, plan_zone
from postamt_sync.cli.bootstrap.refusals import refusals
from postamt_sync.errors import ExitCode, MisconfiguredError, TryLaterError, UsageError

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver
    from types_boto3_route53 import Route53Client

_BY_HAND = "Enter the records where the DNS is hosted: postamt-sync bootstrap dns --format zone"


def apply_to_route53(
    session: boto3.Session,
    domains: Sequence[str],
    records: Sequence[Record],
    resolver: Resolver | None,
    *,
    yes: bool,
) -> ExitCode:
    """Show what would be written into the account's hosted zones, ask, and write it.

    Ends with UNDELIVERED where something stands in the way that mail cannot come or go without.
    """
    client = session.client("route53")
    console = Console(highlight=False)
    with refusals("route53"):
        zones = hosted_zones(client, domains)
        if not zones:
            raise MisconfiguredError(
                f"This account has no public hosted zone for {' or '.join(domains)}.", _BY_HAND
            )
        plans = [
            plan_zone(read(client, zone), [r for r in records if zones.get(r.domain) == zone])
            for zone in dict.fromkeys(zones.values())
        ]
    for plan in plans:
        _show(plan, resolver, console)
    homeless = [domain for domain in domains if domain not in zones]
    for domain in homeless:
        console.print(Text(f"{domain}: no hosted zone in this account. {_BY_HAND}"))
    if any(plan.changes for plan in plans):
        if not _agreed(yes):
            print("Nothing was written.")
            return ExitCode.OK
        for plan in plans:
            write(client, plan)
        print("Written; the world sees it within minutes, or when an old record's TTL is over.")
    blocked = any(not o.record.optional for plan in plans for o in plan.obstacles)
    return ExitCode.UNDELIVERED if blocked or homeless else ExitCode.OK


def _show(plan: ZonePlan, resolver: Resolver | None, console: Console) -> None:
    console.print(Text(f"Hosted zone {plan.zone.name} ({plan.zone.id})", style="bold"))
    console.print(Text(f"  there   {len(plan.there)} of our records"))
    for change in plan.changes:
        console.print(Text(f"  {change.words}"))
    for obstacle in plan.obstacles:
        console.print(Text(f"  in the way: {obstacle.problem} {obstacle.remedy}", style="red"))
    if resolver is not None and (strangers := _strangers(plan, resolver)):
        console.print(
            Text(
                f"  The world does not ask this zone, but {', '.join(strangers)}: enter "
                f"{', '.join(plan.name_servers)} as name servers at the registrar.",
                style="red",
            )
        )
    console.print()


def _strangers(plan: ZonePlan, resolver: Resolver) -> Sequence[str]:
    """Return the servers that the world asks in the place of this zone's; none if it asks these."""
    asked = asyncio.run(name_servers(plan.zone.name, resolver))
    if asked is None or set(asked) & set(plan.name_servers):
        return ()
    return asked or ("nobody",)


def _agreed(yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(
            "Nobody is there to be asked whether this may be written.",
            "If it is what you want, run it again with --yes.",
        )
    return typer.confirm("Write this?")


def write(client: Route53Client, plan: ZonePlan) -> None:
    """Carry a plan out. Raises TryLaterError, and nothing is written, where it no longer fits."""
    try:
        with refusals("route53"):
            apply(client, plan)
    except TryLaterError as error:
        cause = error.__cause__
        if (
            isinstance(cause, ClientError)
            and cause.response["Error"]["Code"] == "InvalidChangeBatch"
        ):
            raise TryLaterError(
                f"The zone {plan.zone.name} was changed by somebody else meanwhile; nothing was "
                "written to it.",
                "Look again with: postamt-sync bootstrap dns --route53",
            ) from error
        raise
