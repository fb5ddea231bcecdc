"""Route 53's hosted zones: which one a domain belongs to, and what is in it. Only reads."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.exception import DNSException

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.dns.record import parsed
from postamt_sync.errors import MisconfiguredError

if TYPE_CHECKING:
    from types_boto3_route53.type_defs import ResourceRecordSetOutputTypeDef as RecordSet

_OCTAL = re.compile(r"\\([0-3][0-7]{2})")


@dataclass(frozen=True, slots=True)
class HostedZone:
    """A public zone of the account. `id` is as the API takes it, `name` has no final dot."""

    id: str
    name: str

    def holds(self, domain: str) -> bool:
        return domain == self.name or domain.endswith(f".{self.name}")


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything in a zone, as Route 53 returns it."""

    zone: HostedZone
    sets: Mapping[tuple[dns.name.Name, str], Sequence[RecordSet]]

    def of(self, name: dns.name.Name, kind: str) -> Sequence[RecordSet]:
        """Return the sets of this name and type; a routing policy can have several."""
        return self.sets.get((name, kind), ())

    def types(self, name: dns.name.Name) -> list[str]:
        """Return the types of all records with this name, sorted."""
        return sorted(kind for other, kind in self.sets if other == name)

    @property
    def name_servers(self) -> tuple[str, ...]:
        """The zone's own name servers, sorted, without the final dot."""
        apex = self.of(dns.name.from_text(self.zone.name), "NS")
        return tuple(sorted(v.rstrip(".").lower() for one in apex for v in values(one)))

    def delegated(self, name: dns.name.Name) -> str:
        """Return the delegated name at or above `name`; "" if this zone itself is responsible."""
        apex = dns.name.from_text(self.zone.name)
        while name.is_subdomain(apex) and name != apex:
            if self.of(name, "NS"):
                return name.to_text(omit_final_dot=True)
            name = name.parent()
        return ""


def hosted_zones(aws: AwsClient, domains: Iterable[str]) -> dict[str, HostedZone]:
    """Find each domain's public zone: the one with the longest matching name. A domain without a
    zone is left out.

    Raises MisconfiguredError if two zones have that name, PostamtError if AWS refuses.
    """
    zones = [
        HostedZone(zone["Id"].rpartition("/")[2], decimal(zone["Name"]).rstrip(".").lower())
        for zone in aws.pages("route53", "list_hosted_zones", "HostedZones")
        if not zone.get("Config", {}).get("PrivateZone", False)
    ]
    found = {}
    for domain in domains:
        around = [zone for zone in zones if zone.holds(domain)]
        if not around:
            continue
        longest = max(len(zone.name) for zone in around)
        best = [zone for zone in around if len(zone.name) == longest]
        if len(best) > 1:
            raise MisconfiguredError(
                f"The account has {len(best)} public hosted zones named {best[0].name}: "
                f"{', '.join(sorted(zone.id for zone in best))}.",
                "Delete those whose name servers the registrar does not name, or enter the records "
                "by hand: postamt-sync bootstrap dns",
            )
        found[domain] = best[0]
    return found


def read(aws: AwsClient, zone: HostedZone) -> Contents:
    """Read the whole zone. Raises PostamtError if AWS refuses."""
    sets: dict[tuple[dns.name.Name, str], list[RecordSet]] = defaultdict(list)
    every = aws.pages(
        "route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone.id
    )
    for one in every:
        sets[dns.name.from_text(decimal(one["Name"])), one["Type"]].append(one)
    return Contents(zone, dict(sets))


def values(one: RecordSet) -> list[str]:
    """Return the values of a set as Route 53 writes them; an alias has none."""
    return [value["Value"] for value in one.get("ResourceRecords", ())]


def rdatas(one: RecordSet) -> list[dns.rdata.Rdata]:
    """Return the values of a set, parsed."""
    return [_rdata(one["Type"], value) for value in values(one)]


def decimal(text: str) -> str:
    r"""Convert Route 53's escapes, `\` and three octal digits, to the decimal ones of zone files
    (RFC 1035, section 5.1)."""
    return _OCTAL.sub(lambda match: f"\\{int(match[1], 8):03}", text)


def _rdata(kind: str, value: str) -> dns.rdata.Rdata:
    try:
        return parsed(kind, decimal(value))
    except DNSException:
        # Not ours, and malformed: shown and compared as opaque bytes.
        generic = dns.rdatatype.from_text(kind)
        return dns.rdata.GenericRdata(dns.rdataclass.IN, generic, value.encode())
