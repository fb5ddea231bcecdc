"""What AWS offers in which region (for SES: AWS General Reference, "Amazon Simple Email Service
endpoints").

These lists age: AWS opens new regions.
"""

from __future__ import annotations

from postamt_sync.log_line import printable

RECEIVING = frozenset(
    {
        "af-south-1",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-3",
        "ca-central-1",
        "eu-central-1",
        "eu-north-1",
        "eu-south-1",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "il-central-1",
        "me-south-1",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
    }
)
"""Regions in which SES receives mail."""

WITHOUT_SMTP = frozenset(
    {
        "af-south-1",
        "ap-south-2",
        "ap-southeast-3",
        "ap-southeast-5",
        "ca-west-1",
        "eu-central-2",
        "eu-south-1",
        "il-central-1",
        "me-central-1",
        "me-south-1",
    }
)
"""Regions in which SES sends, but not over SMTP."""

OPT_IN = frozenset(
    {
        "af-south-1",
        "ap-east-1",
        "ap-east-2",
        "ap-south-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-west-1",
        "eu-central-2",
        "eu-south-1",
        "eu-south-2",
        "il-central-1",
        "me-central-1",
        "me-south-1",
        "mx-central-1",
    }
)
"""Regions that an account has to enable before its keys work there (AWS Account Management
Reference Guide, "Enable or disable AWS Regions in your account")."""

WITHOUT_OWN_NAMESPACE = frozenset({"me-central-1", "me-south-1"})
"""Regions without a bucket namespace for each account (S3 User Guide, "Namespaces for general
purpose buckets"): bucket names there are shared by everybody in the world."""

_OWN_DKIM_ZONE = frozenset(
    {
        "af-south-1",
        "ap-northeast-3",
        "ap-south-2",
        "ap-southeast-3",
        "ap-southeast-5",
        "ca-west-1",
        "eu-central-2",
        "eu-south-1",
        "il-central-1",
        "me-central-1",
    }
)


def refused_region(region: str) -> tuple[str, str] | None:
    """Return that no mail can come in by this region, and by which it can; None if it can.

    It is the one refusal of AWS's other partitions (China, GovCloud, the European Sovereign Cloud):
    SES receives mail in none of their regions.
    """
    if region in RECEIVING:
        return None
    problem = f"SES receives no mail in {printable(region, 40)}."
    return problem, f"Choose another region: {', '.join(sorted(RECEIVING))}."


def dkim_zone(region: str) -> str:
    """Return the zone with Easy DKIM's keys, for when SES does not name it."""
    return f"dkim.{region}.amazonses.com" if region in _OWN_DKIM_ZONE else "dkim.amazonses.com"


_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "eusc-": "aws-eusc"}


def partition_of(region: str) -> str:
    """Return the partition of a region, as in ARNs."""
    return next((p for start, p in _PARTITIONS.items() if region.startswith(start)), "aws")
