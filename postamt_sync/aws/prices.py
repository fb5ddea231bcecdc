"""AWS's prices in US dollars, in us-east-1, without tax; other regions differ a little.

`verified` prices were read in AWS's own price list of 2026. The others are commonly known, but were
not checked there.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """`usd` for each `per` units, beyond `free` units a month."""

    usd: float
    per: float = 1
    free: float = 0
    verified: bool = True

    def of(self, quantity: float) -> float:
        """Return what this quantity costs a month."""
        return max(0.0, quantity - self.free) * self.usd / self.per


THOUSAND = 1_000.0
MILLION = 1_000_000.0

SES_RECEIVED = Price(0.10, THOUSAND)
SES_CHUNK = Price(0.09, THOUSAND, verified=False)
"""The price is verified, but not whether a partial chunk counts; we count it."""
SES_SENT = Price(0.16, THOUSAND)
"""On the plan that new accounts start with; older accounts pay 0.10."""
SES_SENT_GB = Price(0.12)
S3_PUT = Price(0.005, THOUSAND)
"""LIST costs the same."""
S3_GET = Price(0.0004, THOUSAND)
S3_STANDARD_GB = Price(0.023)
S3_INFREQUENT_GB = Price(0.0125, verified=False)
S3_ARCHIVE_GB = Price(0.004, verified=False)
"""Glacier Instant Retrieval."""
S3_INFREQUENT_GET = Price(0.001, THOUSAND, verified=False)
S3_INFREQUENT_READ_GB = Price(0.01, verified=False)
S3_ARCHIVE_GET = Price(0.01, THOUSAND, verified=False)
S3_ARCHIVE_READ_GB = Price(0.03, verified=False)
S3_TO_INFREQUENT = Price(0.01, THOUSAND, verified=False)
S3_TO_ARCHIVE = Price(0.02, THOUSAND, verified=False)
EGRESS_GB = Price(0.09, free=100, verified=False)
"""The price is verified, the free amount is not."""
SNS_PUBLISH = Price(0.50, MILLION, free=MILLION)
SNS_HTTP = Price(0.60, MILLION, free=100_000)
SQS_REQUEST = Price(0.40, MILLION, free=MILLION)
LAMBDA_REQUEST = Price(0.20, MILLION, free=MILLION)
LAMBDA_GB_SECOND = Price(13.3334, MILLION, free=400_000)
"""On arm64."""
DYNAMODB_WRITE = Price(0.625, MILLION)
DYNAMODB_READ = Price(0.125, MILLION)
DYNAMODB_GB = Price(0.25, free=25, verified=False)
DYNAMODB_BACKUP_GB = Price(0.20, verified=False)
CLOUDWATCH_METRIC = Price(0.01, THOUSAND, verified=False)
CLOUDWATCH_LOGS_GB = Price(0.50, free=5, verified=False)
HTTP_API_REQUEST = Price(1.00, MILLION)
CLOUDFRONT_REQUEST = Price(1.00, MILLION, free=10 * MILLION, verified=False)
CLOUDFRONT_GB = Price(0.085, free=1024, verified=False)
KMS_REQUEST = Price(0.03, 10_000, free=20_000, verified=False)
SSM_PARAMETER = Price(0.0, verified=False)
"""For standard parameters at standard throughput."""
ACM_CERTIFICATE = Price(0.0, verified=False)
"""For a public certificate that does not leave AWS."""
ALIAS_QUERY = Price(0.0, MILLION, verified=False)
"""For an alias of a CloudFront distribution."""
