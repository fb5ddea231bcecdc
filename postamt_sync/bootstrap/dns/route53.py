"""Our records in a Route 53 hosted zone: what is missing, what is in the way, what to write.

Only our own records are ever written. An existing MX, SPF or DMARC record is never edited. A change
deletes exactly the values that were read, in the same batch that creates the new ones. Route 53
applies a batch as a whole or not at all (API Reference, "ChangeResourceRecordSets"), so nothing
that someone else wrote in the meantime is overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import dns.name
import dns.rdata
from botocore.exceptions import ClientError
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.IN.SRV import SRV

from postamt_sync.aws.error_answer import code_of, message_of
from postamt_sync.bootstrap.aws_client import AwsClient, ChangedMeanwhileError
from postamt_sync.bootstrap.change import call
from postamt_sync.bootstrap.dns.alias import (
    KINDS,
    AliasChange,
    is_ours_to_change,
    is_the_same,
    leads_to,
)
from postamt_sync.bootstrap.dns.dns_check import DnsFinding, DnsVerdict, check_record, shown
from postamt_sync.bootstrap.dns.hosted_zone import Contents, HostedZone, rdatas, values
from postamt_sync.bootstrap.dns.record import Purpose, Record
from postamt_sync.errors import PostamtError
from postamt_sync.events import printable
from postamt_sync.log_line import without_markup

if TYPE_CHECKING:
    from types_boto3_route53.type_defs import ChangeTypeDef, ResourceRecordSetTypeDef
    from types_boto3_route53.type_defs import ResourceRecordSetOutputTypeDef as RecordSet

COMMENT = "postamt-sync bootstrap dns"
_FEEDBACK = re.compile(r"feedback-smtp\.[a-z0-9-]+\.amazonses\.com\.", re.IGNORECASE)
_SUBMISSION = re.compile(r"email-smtp\.[a-z0-9-]+\.amazonaws\.com\.", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ZoneChange:
    """A record to write: a new one, a replacement for the set `before`, or `beside` its values."""

    record: Record
    before: RecordSet | None = None
    beside: bool = False

    @property
    def message(self) -> str:
        """What the change does, in one line that is safe to show."""
        made = f"{self.record.name} {self.record.type} {self.record.data}"
        if self.before is None:
            return f"create  {made}"
        if self.beside:
            return f"add     {made}, beside what is there"
        return f"replace {', '.join(shown(values(self.before)))} by {made}"

    def calls(self) -> Iterator[ChangeTypeDef]:
        """Yield the changes to submit to Route 53, in this order and in one batch."""
        kept: list[str] = []
        ttl = self.record.ttl
        if self.before is not None:
            # Exactly as it was read: Route 53 deletes only an identical set.
            before = cast("ResourceRecordSetTypeDef", self.before)
            yield {"Action": "DELETE", "ResourceRecordSet": before}
            if self.beside:
                kept, ttl = values(self.before), self.before.get("TTL", ttl)
        yield {
            "Action": "CREATE",
            "ResourceRecordSet": {
                "Name": self.record.absolute_name,
                "Type": self.record.type,
                "TTL": ttl,
                "ResourceRecords": [{"Value": value} for value in (*kept, self.record.data)],
            },
        }


@dataclass(frozen=True, slots=True)
class Obstacle:
    """An existing record that is not ours to change; two sentences as in PostamtError."""

    record: Record
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class ZonePlan:
    """What to write to one zone, what is in the way, and what is there already.

    `name_servers` are the zone's own.
    """

    zone: HostedZone
    changes: tuple[ZoneChange | AliasChange, ...]
    obstacles: tuple[Obstacle, ...]
    there: tuple[DnsFinding, ...]
    name_servers: tuple[str, ...]


def plan_zone(contents: Contents, records: Collection[Record]) -> ZonePlan:
    """Compare a zone with the records that should be in it."""
    compared = [one for record in records for one in _compared(record, contents)]
    return ZonePlan(
        contents.zone,
        tuple(c for c in compared if isinstance(c, ZoneChange | AliasChange)),
        tuple(c for c in compared if isinstance(c, Obstacle)),
        tuple(c for c in compared if isinstance(c, DnsFinding)),
        contents.name_servers,
    )


def apply(aws: AwsClient, plan: ZonePlan) -> None:
    """Write the changes in one batch, all or nothing; without changes, make no call.

    On return Route 53 has accepted them; its servers return them within about a minute. Raises
    ChangedMeanwhileError if the zone has changed since it was planned, PostamtError if AWS refuses.
    """
    if not plan.changes:
        return
    changes = [one for change in plan.changes for one in change.calls()]
    batch = {"Comment": COMMENT, "Changes": changes}
    try:
        aws.write(
            call(
                "route53",
                "change_resource_record_sets",
                HostedZoneId=plan.zone.id,
                ChangeBatch=batch,
            )
        )
    except PostamtError as error:
        cause = error.__cause__
        if isinstance(cause, ClientError) and code_of(cause) == "InvalidChangeBatch":
            said = printable(without_markup(message_of(cause))).strip(".[]") or "nothing more"
            raise ChangedMeanwhileError(
                f"Route 53 does not take the changes to the zone {plan.zone.name}: {said}.",
                "Nothing was written to it. If someone else changed it meanwhile, look again "
                "with: postamt-sync bootstrap dns --route53",
            ) from error
        raise


def _compared(
    record: Record, contents: Contents
) -> Iterator[ZoneChange | AliasChange | Obstacle | DnsFinding]:
    if record.purpose is Purpose.WEBMAIL:
        yield from _aliases(record, contents)
    else:
        yield _compare(record, contents)


def _aliases(record: Record, contents: Contents) -> Iterator[AliasChange | Obstacle | DnsFinding]:
    """Compare the two aliases (A and AAAA) that lead a name to CloudFront."""
    name = dns.name.from_text(record.name)
    cname = contents.of(name, "CNAME")
    if contents.delegated(name) or (cname and not is_the_same(cname[0], record)):
        # Reported like any other CNAME.
        found = _compare(record, contents)
        if not isinstance(found, ZoneChange):
            yield found
        return
    if cname:
        yield DnsFinding(record, DnsVerdict.WILL_DO)
        return
    for kind in KINDS:
        there = contents.of(name, kind)
        if not there:
            yield AliasChange(record, kind)
        elif is_the_same(there[0], record):
            yield DnsFinding(record, DnsVerdict.SEEN)
        elif is_ours_to_change(there[0]):
            yield AliasChange(record, kind, there[0])
        else:
            said = ", ".join(shown([leads_to(there[0])]))
            yield Obstacle(
                record,
                f"{record.name} has a record of type {kind} already: {said}.",
                f"Remove it if nothing needs it. What is needed: an alias of {record.data}",
            )


def _compare(record: Record, contents: Contents) -> ZoneChange | Obstacle | DnsFinding:
    name = dns.name.from_text(record.name)
    if delegated := contents.delegated(name):
        return Obstacle(
            record,
            f"{delegated} is delegated to other name servers: {record.name} would not be seen.",
            "Enter its records there: postamt-sync bootstrap dns",
        )
    found = contents.of(name, record.type)
    if not found:
        return _alone(record, contents.types(name))
    if "ResourceRecords" not in found[0] or "SetIdentifier" in found[0]:
        return Obstacle(
            record,
            f"The {record.type} record of {record.name} is an alias or has a routing policy.",
            f"It is left as it is. What is needed there: {record.data}",
        )
    return _instead(record, found[0])


def _alone(record: Record, others: Sequence[str]) -> ZoneChange | Obstacle:
    """Create the record, unless it or an existing one is a CNAME, which must be alone (RFC 1034,
    section 3.6.2)."""
    if others and "CNAME" in {record.type, *others}:
        return Obstacle(
            record,
            f"{record.name} has a {others[0]} record, beside which no {record.type} can stand.",
            f"Remove it if nothing needs it. What is needed: {record.type} {record.data}",
        )
    return ZoneChange(record)


def _instead(record: Record, before: RecordSet) -> ZoneChange | Obstacle | DnsFinding:
    """Decide what to do with the existing set."""
    found = rdatas(before)
    dns_finding = check_record(record, found)
    if dns_finding.verdict in {DnsVerdict.SEEN, DnsVerdict.WILL_DO}:
        return dns_finding
    if dns_finding.verdict is DnsVerdict.MISSING and record.type == "TXT":
        return ZoneChange(record, before, beside=True)
    if _is_ours(record, found):
        return ZoneChange(record, before)
    problem = dns_finding.problem
    if dns_finding.verdict is DnsVerdict.MISSING:
        problem = f"The {record.type} record of {record.name} cannot be read."
    return Obstacle(record, problem, dns_finding.remedy)


def _is_ours(record: Record, found: Sequence[dns.rdata.Rdata]) -> bool:
    """Whether all the values found were made by us for this purpose, for another region or host."""
    match record.purpose:
        case Purpose.DKIM | Purpose.CERTIFICATE:
            return True  # a token of SES or ACM is of no use to anybody else
        case Purpose.MAIL_FROM:
            return all(isinstance(v, MX) and _FEEDBACK.match(v.exchange.to_text()) for v in found)
        case Purpose.IMAP | Purpose.SUBMISSION:
            return all(isinstance(v, SRV) and _is_our_host(record, v.target) for v in found)
        case _:
            return False


def _is_our_host(record: Record, target: dns.name.Name) -> bool:
    return (
        target == dns.name.root
        or target.is_subdomain(dns.name.from_text(record.domain))
        or _SUBMISSION.match(target.to_text()) is not None
    )
