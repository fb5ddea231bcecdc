"""`postamt-sync bootstrap dns`: shows, exports or applies the records that mail needs."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from postamt_sync.bootstrap.dns.dns_check import DnsFinding, DnsVerdict, WhyMissing
from postamt_sync.bootstrap.dns.dns_lookup import look_up, resolver_at
from postamt_sync.bootstrap.dns.record import Purpose, Record, zone_file
from postamt_sync.bootstrap.dns.records import (
    DomainAtSes,
    Servers,
    identities,
    is_host_name,
    records,
)
from postamt_sync.bootstrap.dns.webmail_records import webmail_records
from postamt_sync.bootstrap.open_stack import open_stack
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.cli.bootstrap.dns_route53 import apply_to_route53
from postamt_sync.cli.console import open_console, paragraph
from postamt_sync.cli.options import ConfigPath, Debug, ResolverAddress, Yes
from postamt_sync.cli.printed_json import print_json
from postamt_sync.config import Settings, load
from postamt_sync.config.addresses import normalised_domain
from postamt_sync.errors import ExitCode, MisconfiguredError, UsageError
from postamt_sync.events import printable

_STYLES = {
    DnsVerdict.SEEN: "green",
    DnsVerdict.WILL_DO: "green",
    DnsVerdict.MISSING: "yellow",
    DnsVerdict.DIFFERENT: "red",
    DnsVerdict.UNKNOWN: "yellow",
}


class DnsFormat(enum.StrEnum):
    """The form in which the records are printed."""

    TABLE = "table"
    ZONE = "zone"
    JSON = "json"


def dns(
    *,
    format: Annotated[
        DnsFormat, typer.Option("--format", help="For people, for an import, for programs.")
    ] = DnsFormat.TABLE,
    domain: Annotated[
        str,
        typer.Option("--domain", metavar="NAME", help="Only this one of the stack's domains."),
    ] = "",
    route53: Annotated[
        bool, typer.Option("--route53", help="Write them into the account's hosted zones.")
    ] = False,
    yes: Yes = False,
    imap_host: Annotated[
        str,
        typer.Option(
            "--imap-host", metavar="NAME", help="Where mail clients read mail; else home.imap_host."
        ),
    ] = "",
    resolver: ResolverAddress = "",
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not look them up in the DNS.")
    ] = False,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Show the DNS records that mail needs, and which of them are there.

    --format zone prints a zone file, for BIND or to import at Cloudflare and
    others; a record that cannot be added beside an existing one is commented out.
    --route53 shows what it would write, and asks. An existing MX, SPF or DMARC
    record is never edited: you are told what is in the way.

    \b
    Examples:
      postamt-sync bootstrap dns
      postamt-sync bootstrap dns --format zone --domain example.com > zone.txt
      postamt-sync bootstrap dns --resolver 9.9.9.9
      postamt-sync bootstrap dns --route53
    """
    settings = load(config)
    if not settings.stack.domains:
        raise MisconfiguredError(
            "The configuration names no domain that is to get mail.",
            'Add to the table [stack]: domains = ["example.com"]',
        )
    servers = Servers(_imap_host(settings, imap_host), relay=settings.home.submission)
    asked = None if offline else resolver_at(resolver)
    stack, aws = open_stack(settings)
    of_webmail = webmail_records(stack, aws)
    if domain:
        stack = replace(stack, domains=(_one_of(stack.domains, domain),))
    known_domains = identities(stack, aws)
    wanted = (
        *records(stack, known_domains, servers),
        *(record for record in of_webmail if record.domain in stack.domains),
    )
    _warn_of_dkim(stack, known_domains)
    _warn_of_webmail(stack, of_webmail)
    if route53:
        return apply_to_route53(aws, stack.domains, wanted, asked, yes=yes)
    dns_findings = asyncio.run(look_up(wanted, asked)) if asked else None
    match format:
        case DnsFormat.TABLE:
            show(wanted, dns_findings, open_console())
        case DnsFormat.JSON:
            print_json(as_json(wanted, dns_findings))
        case DnsFormat.ZONE:
            print(zone_file(wanted, not_for_a_zone(wanted, dns_findings or ())), end="")
    if unanswered := [s for s in dns_findings or () if s.verdict is DnsVerdict.UNKNOWN]:
        _say(f"{unanswered[0].problem} {unanswered[0].remedy}")
    return ExitCode.OK


def _one_of(domains: Sequence[str], named: str) -> str:
    with suppress(ValueError):
        if (normal := normalised_domain(named)) in domains:
            return normal
    raise UsageError(
        f"{printable(named)} is no domain of the configuration.",
        f"Name one of: {', '.join(domains)}",
    )


def _imap_host(settings: Settings, named: str) -> str:
    if named and not is_host_name(named):
        raise UsageError(
            f"Mail clients cannot be sent to {printable(named)}.",
            "Give a name, no address, as in: --imap-host mail.example.com",
        )
    configured = settings.home.imap_host
    return named or (configured if is_host_name(configured) else "")


def in_the_way(dns_findings: Sequence[DnsFinding]) -> dict[Record, str]:
    """Return, with reasons, the records that cannot be imported because another is there already:
    an import only adds records."""
    return {
        s.record: " ".join(
            filter(None, (s.problem or f"This will do: {', '.join(s.seen)}.", s.remedy))
        )
        for s in dns_findings
        if s.verdict in {DnsVerdict.DIFFERENT, DnsVerdict.WILL_DO}
    }


def not_for_a_zone(
    wanted: Sequence[Record], dns_findings: Sequence[DnsFinding]
) -> dict[Record, str]:
    """Return, with reasons, the records that a zone file must not contain: those `in_the_way`, and
    a CNAME at the domain itself."""
    at_the_domain = {r: r.note for r in wanted if r.type == "CNAME" and r.name == r.domain}
    return {**at_the_domain, **in_the_way(dns_findings)}


def _warn_of_webmail(stack: Stack, of_webmail: Sequence[Record]) -> None:
    """Mention a record that is still to come, because its target does not exist yet."""
    there = {record.purpose for record in of_webmail}
    if stack.webmail is None or Purpose.WEBMAIL in there:
        return
    first = "" if Purpose.CERTIFICATE in there else "No certificate has been requested yet. "
    _say(
        f"{first}The record that leads to {stack.webmail.host} is missing here: its distribution "
        "is made once the certificate is there. Run then: postamt-sync bootstrap apply"
    )


def _warn_of_dkim(stack: Stack, known_domains: Mapping[str, DomainAtSes]) -> None:
    if unknown := [domain for domain in stack.domains if domain not in known_domains]:
        _say(
            f"The DKIM records of {', '.join(unknown)} are missing here: SES does not know them "
            "yet. Run first: postamt-sync bootstrap apply"
        )
    if own_key := [domain for domain, identity in known_domains.items() if not identity.tokens]:
        _say(
            f"No DKIM records are shown for {', '.join(own_key)}: SES signs with a key of your "
            "own there, or with none."
        )


def _say(sentence: str) -> None:
    paragraph(open_console(errors=True), sentence)


def show(
    records: Sequence[Record], dns_findings: Sequence[DnsFinding] | None, console: Console
) -> None:
    """Print the records, each name above its value, then what is to be done.

    Names and values are meant to be copied, so they are never wrapped.
    """
    now = "" if dns_findings is None else "   Now"
    console.print(Text(f"Type  Name{now}, and its value", style="bold"), soft_wrap=True)
    for number, record in enumerate(records):
        finding = dns_findings[number] if dns_findings is not None else None
        line = Text(f"{record.type:<6}{record.name}")
        if record.optional:
            line.append("   (optional)")
        if finding is not None:
            line.append(f"   {finding.verdict}", style=_STYLES[finding.verdict])
        console.print(line, soft_wrap=True)
        console.print(Text(f"      {record.data}"), soft_wrap=True)
    for sentence in _sentences(dns_findings or ()):
        console.print()
        paragraph(console, sentence)


def _sentences(dns_findings: Sequence[DnsFinding]) -> Iterator[str]:
    """Yield what the table does not say already; all effects of one wildcard in one sentence."""
    behind = [one for one in dns_findings if one.why_missing is WhyMissing.WILDCARD]
    for one in dns_findings:
        if one.problem and not one.just_missing and one not in behind:
            yield f"{one.problem} {one.remedy}".rstrip()
    if len(behind) == 1:
        yield f"{behind[0].problem} {behind[0].remedy}"
    elif behind:
        yield (
            f"For {len(behind)} of the names that are missing a wildcard such as "
            f"*.{behind[0].record.domain} answers. Its answers are no records of theirs: make them "
            "where the DNS is hosted."
        )


def as_json(
    records: Sequence[Record], dns_findings: Sequence[DnsFinding] | None
) -> list[dict[str, Any]]:
    """Return each record with what is in the DNS; `now` is null if it was not looked up."""
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
