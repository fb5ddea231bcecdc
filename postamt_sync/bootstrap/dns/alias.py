"""The webmail's name in a hosted zone: a Route 53 alias, which may exist beside an MX record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from postamt_sync.bootstrap.dns.dns_check import shown
from postamt_sync.bootstrap.dns.hosted_zone import values
from postamt_sync.bootstrap.dns.record import Record

if TYPE_CHECKING:
    from types_boto3_route53.type_defs import ChangeTypeDef, ResourceRecordSetTypeDef
    from types_boto3_route53.type_defs import ResourceRecordSetOutputTypeDef as RecordSet

CLOUDFRONT_ZONE = "Z2FDTNDATAQYW2"
"""CloudFront's zone id, the same for everybody (Route 53 API Reference, "AliasTarget")."""
KINDS: tuple[Literal["A", "AAAA"], ...] = ("A", "AAAA")


@dataclass(frozen=True, slots=True)
class AliasChange:
    """An alias to write, replacing the record set `before` if there is one."""

    record: Record
    kind: Literal["A", "AAAA"]
    before: RecordSet | None = None

    @property
    def message(self) -> str:
        """What the change does, in one line that is safe to show."""
        made = f"{self.record.name} {self.kind}, an alias of {self.record.data}"
        if self.before is None:
            return f"create  {made}"
        return f"replace {', '.join(shown([leads_to(self.before)]))} by {made}"

    def calls(self) -> Iterator[ChangeTypeDef]:
        """Yield the changes to submit to Route 53, in this order and in one batch."""
        if self.before is not None:
            before = cast("ResourceRecordSetTypeDef", self.before)
            yield {"Action": "DELETE", "ResourceRecordSet": before}
        yield {
            "Action": "CREATE",
            "ResourceRecordSet": {
                "Name": self.record.absolute_name,
                "Type": self.kind,
                "AliasTarget": {
                    "HostedZoneId": CLOUDFRONT_ZONE,
                    "DNSName": self.record.data,
                    "EvaluateTargetHealth": False,
                },
            },
        }


def leads_to(one: RecordSet) -> str:
    """Return the target of an alias, or the values of any other record set."""
    alias = one.get("AliasTarget")
    return alias["DNSName"] if alias else ", ".join(values(one))


def is_ours_to_change(one: RecordSet) -> bool:
    """Whether the set is an alias of some CloudFront distribution.

    A name belongs to one distribution at a time, and this one belongs to ours: an alias to another
    distribution is stale.
    """
    alias = one.get("AliasTarget")
    return bool(alias and alias["HostedZoneId"] == CLOUDFRONT_ZONE and "SetIdentifier" not in one)


def is_the_same(one: RecordSet, record: Record) -> bool:
    return leads_to(one).rstrip(".").lower() == record.data.rstrip(".").lower()
