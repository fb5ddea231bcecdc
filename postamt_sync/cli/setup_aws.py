"""The AWS side of `setup`: the configuration, the plan, and carrying it out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from postamt_sync.aws.errors import ForbiddenError
from postamt_sync.aws.smtp import smtp_server
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.configuration import Home, configuration
from postamt_sync.bootstrap.dns.hosted_zone import HostedZone, hosted_zones, read
from postamt_sync.bootstrap.dns.record import Record
from postamt_sync.bootstrap.dns.records import Servers, identities, records
from postamt_sync.bootstrap.dns.route53 import apply, plan_zone
from postamt_sync.bootstrap.open_stack import queue_urls_to_be
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.stack_part import new_bucket
from postamt_sync.cli.bootstrap.apply import make
from postamt_sync.cli.bootstrap.production_access import (
    ASKED,
    Language,
    file_request,
    may_send,
    request_of,
    show_request,
)
from postamt_sync.cli.bootstrap.stack import Opened, opened, show
from postamt_sync.cli.console import paragraph
from postamt_sync.cli.setup_questions import MAILS_PER_DAY, price
from postamt_sync.config.load import load
from postamt_sync.errors import MisconfiguredError, PostamtError
from postamt_sync.setup.answers import CONFIGURATION, AnswerFile, Answers, keep
from postamt_sync.setup.placed_files import IMAP_CHAIN, IMAP_KEY

_INDENT = "  "


@dataclass(frozen=True, slots=True)
class Wishes:
    """The command-line options that are not answers.

    With `production`, AWS is asked to let us send to everyone. `bundle` is the file for the box;
    `new_bundle` makes it again. `position` is that of the receipt rule, "" for the usual one.
    """

    name: str
    yes: bool
    production: bool
    bundle: Path
    new_bundle: bool
    position: str = ""


def write_configuration(file: AnswerFile, answers: Answers, aws: AwsClient, name: str) -> Answers:
    """Write the configuration that the answers call for, and keep what it was made with.

    Raises MisconfiguredError if the credentials belong to another account than the one that the
    setup began with.
    """
    domains, people, region = answers.domains, answers.people, answers.region
    assert domains
    assert people
    assert region
    if answers.account is not None and answers.account != aws.account:
        raise MisconfiguredError(
            f"These credentials are of the account {aws.account}; setup began in "
            f"{answers.account}.",
            "Use those of that account, or start over with: postamt-sync setup --again",
        )
    purpose = f"{name} {aws.account} {region}"
    bucket = answers.bucket
    if bucket is None or answers.bucket_of != purpose:
        bucket = new_bucket(name, aws.account, region)
    answers = replace(answers, account=aws.account, bucket=bucket, bucket_of=purpose)
    file.write(answers)
    stack = Stack(
        name=name,
        account=aws.account,
        region=region,
        bucket=bucket,
        domains=domains,
        public_url=answers.public_url or "",
    )
    home = Home(people, served=_served(answers))
    path = file.directory / CONFIGURATION
    keep(path, configuration(stack, home, queue_urls_to_be(stack, aws)))
    load(path, environ={})
    return answers


def _served(answers: Answers) -> Mapping[str, Any]:
    if not answers.dovecot:
        return {}
    return {
        "imap_host": answers.imap_host,
        "tls_certificate": answers.certificate or str(IMAP_CHAIN),
        "tls_key": answers.certificate_key or str(IMAP_KEY),
        "submission": smtp_server(answers.region or "") is not None,
    }


def open_account(file: AnswerFile) -> Opened:
    return opened(file.directory / CONFIGURATION, None)


def make_all(account: Opened, console: Console, wishes: Wishes) -> bool:
    """Show the monthly cost and what will be made, ask once, and make it: also the DNS records, if
    Route 53 has the zone, and the request to send to everyone. Returns False if the person wants to
    change an answer first."""
    console.print()
    account.introduce(console)
    detail = f"postamt-sync bootstrap cost --mails-per-day {MAILS_PER_DAY}"
    paragraph(console, f"AWS will charge {price()}. Item by item: {detail}", _INDENT)
    with console.status("Looking at the account.") if console.is_terminal else nullcontext():
        found = account.plan(wishes.position)
    show(found, console)
    if found.conflicts:
        console.print()
        paragraph(
            console,
            "What stands after ! is in the way. With --name NAME the stack gets a name of its own, "
            "with --position first our rule comes before others, as in: "
            "postamt-sync setup --position first",
        )
    zones = _zones(account, console)
    for zone in dict.fromkeys(zones.values()):
        console.print(Text(f"\n+ hosted zone {zone.name}", style="green"))
        paragraph(console, "gets the DNS records; what is not ours is left as it is", "    ")
    request = _request(account, console) if wishes.production else None
    if found.changes or found.conflicts or request:
        if not found.conflicts and not wishes.yes and not _agreed(console):
            return False
        console.print()
        make(account, found, console, yes=True, passwords=not account.settings.home.submission)
    else:
        console.print("\nAll of this is there already.")
    _write_zones(account, zones, console)
    if request:
        _file(account, request, console)
    return True


def _agreed(console: Console) -> bool:
    console.print()
    while True:
        typed: str = typer.prompt("Make all this? (y, n, or c to change an answer)")
        match typed.strip().lower():
            case "y" | "yes" | "j" | "ja":
                return True
            case "n" | "no" | "nein":
                raise typer.Abort
            case "c" | "change":
                return False


def _request(account: Opened, console: Console) -> tuple[str, str] | None:
    try:
        if may_send(account):
            return None
    except PostamtError as error:  # mail comes in without it
        paragraph(console, f"\n{error}", "", "yellow")
        return None
    page, text = request_of(account, "")
    console.print(Text("\n+ sending to everyone", style="green"))
    paragraph(console, "AWS is asked for it. Is this true of you?", "    ")
    show_request(console, page, text)
    return page, text


def _file(account: Opened, request: tuple[str, str], console: Console) -> None:
    try:
        file_request(account, *request, Language.EN)
        paragraph(console, f"Sending to everyone: {ASKED[0].lower()}{ASKED[1:]}")
    except PostamtError as error:
        paragraph(console, f"{error} Later: postamt-sync bootstrap production-access", "", "yellow")


def _zones(account: Opened, console: Console) -> Mapping[str, HostedZone]:
    try:
        return hosted_zones(account.aws, account.stack.domains)
    except ForbiddenError:
        return {}
    except PostamtError as error:
        console.print()
        paragraph(console, f"Not written into Route 53: {error}", "", "yellow")
        return {}


def _write_zones(account: Opened, zones: Mapping[str, HostedZone], console: Console) -> None:
    wanted = wanted_records(account)
    for zone in dict.fromkeys(zones.values()):
        plan = plan_zone(
            read(account.aws, zone), [r for r in wanted if zones.get(r.domain) == zone]
        )
        apply(account.aws, plan)
        for change in plan.changes:
            paragraph(console, f"{zone.name}: {change.message}")
        for obstacle in plan.obstacles:
            paragraph(console, f"In the way: {obstacle.problem} {obstacle.remedy}", "", "red")


def wanted_records(account: Opened) -> tuple[Record, ...]:
    home = account.settings.home
    servers = Servers(home.imap_host, relay=home.submission)
    return records(account.stack, identities(account.stack, account.aws), servers)
