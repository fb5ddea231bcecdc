"""The certificate for the webmail's name: requested here, issued once our DNS record is found."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Note, NoteKind, PlanItem, call
from postamt_sync.bootstrap.tags import is_ours, listed, mapped
from postamt_sync.bootstrap.webmail_stack import CERTIFICATE_REGION, WebmailStack
from postamt_sync.errors import PostamtError
from postamt_sync.events import printable

MISSING = ("ResourceNotFoundException",)
ISSUED, PENDING = "ISSUED", "PENDING_VALIDATION"
USES = ("ResourceInUseException",)
"""Errors while CloudFront still uses the certificate somewhere."""

WAITS = (
    "ACM issues it once the DNS has its record: see postamt-sync bootstrap dns (--route53 writes "
    "it). Then run postamt-sync bootstrap apply again, which goes on from here."
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate of ours. `record` is the name and value of the CNAME that proves the name, None
    until ACM has chosen it; `reason` is why it was not issued."""

    arn: str
    host: str
    status: str
    record: tuple[str, str] | None
    in_use: bool
    reason: str = ""

    @property
    def trouble(self) -> str:
        """ACM's status and reason of a certificate that cannot be used, safe to show."""
        return printable(f"{self.status} {self.reason}".strip(), 80)


@dataclass(frozen=True, slots=True)
class CertificateResource:
    """The certificate, recognized by its tag: there may be any number for one name. ACM renews it
    as long as its record stays in the DNS."""

    stack: WebmailStack
    aws: AwsClient

    @property
    def title(self) -> str:
        return f"certificate of {self.stack.host} in {CERTIFICATE_REGION}"

    def plan(self) -> Iterator[PlanItem]:
        ours = self._ours()
        found = _best(ours, self.stack.host)
        if found is None:
            yield Change("request it", [self._request()])
            yield Note(WAITS, NoteKind.CERTIFICATE)
        elif found.status == PENDING:
            yield Note(f"{_record(found)} {WAITS}", NoteKind.CERTIFICATE)
        elif found.status != ISSUED:
            anew = [] if found.in_use else [self._delete(found)]
            message = f"ACM says {found.trouble}: request it again"
            yield Change(message, [*anew, self._request()])
            yield Note(WAITS, NoteKind.CERTIFICATE)
        else:
            for other in ours:
                if other.arn != found.arn and not other.in_use:
                    yield Change(
                        f"that of {printable(other.host, 253)}, no longer used: delete",
                        [self._delete(other)],
                    )

    def destroy(self) -> Iterator[PlanItem]:
        for found in self._ours():
            yield Change("delete", [self._delete(found)])

    def find(self) -> Certificate | None:
        """Return the webmail's certificate, the best one: issued before pending before others."""
        return _best(self._ours(), self.stack.host)

    def issued(self) -> str:
        """Return the ARN of the issued certificate; "" while there is none."""
        found = self.find()
        return found.arn if found is not None and found.status == ISSUED else ""

    def _ours(self) -> list[Certificate]:
        every = self.aws.pages("acm", "list_certificates", "CertificateSummaryList")
        found = (self._read(one["CertificateArn"]) for one in every if self._is_ours(one))
        return [one for one in found if one is not None]

    def _is_ours(self, summary: dict[str, Any]) -> bool:
        answer = self.aws.read(
            "acm",
            "list_tags_for_certificate",
            missing=MISSING,
            CertificateArn=summary["CertificateArn"],
        )
        tags = mapped((answer or {}).get("Tags", []))
        # Stacks with the same name in different regions have their certificates in one region.
        return is_ours(tags, self.stack) and tags.get(REGION_TAG) == self.stack.region

    def _read(self, arn: str) -> Certificate | None:
        answer = self.aws.read("acm", "describe_certificate", missing=MISSING, CertificateArn=arn)
        if answer is None:
            return None
        told = answer["Certificate"]
        proofs = (o.get("ResourceRecord") for o in told.get("DomainValidationOptions", []))
        proof = next(filter(None, proofs), None)
        record = None if proof is None else (_bare(proof["Name"]), _bare(proof["Value"]))
        return Certificate(
            arn,
            told["DomainName"],
            told["Status"],
            record,
            bool(told.get("InUseBy")),
            str(told.get("FailureReason", "")),
        )

    def _request(self) -> Call:
        host = self.stack.host
        return call(
            "acm",
            "request_certificate",
            DomainName=host,
            ValidationMethod="DNS",
            # A second request within the hour returns the same certificate.
            IdempotencyToken=hashlib.sha256(
                f"{self.stack.name} {self.stack.region} {host}".encode()
            ).hexdigest()[:32],
            Tags=listed({**self.stack.tags, REGION_TAG: self.stack.region}),
        )

    def _delete(self, found: Certificate) -> Call:
        named = {"CertificateArn": found.arn}
        return Call("acm", "delete_certificate", named, retry_on=USES)


REGION_TAG = "postamt:region"
"""The tag with the stack's region, for resources that are kept in another one."""


def _best(ours: list[Certificate], host: str) -> Certificate | None:
    order = {ISSUED: 0, PENDING: 1}
    fitting = [one for one in ours if one.host == host]
    return min(fitting, key=lambda one: (order.get(one.status, 2), one.arn), default=None)


def _bare(name: str) -> str:
    text = str(name).rstrip(".").lower()
    if not text or not all(c.isalnum() or c in "._-" for c in text) or not text.isascii():
        raise PostamtError(
            f"ACM names a record that cannot be right: {printable(text, 80)}.",
            "Look at the certificate in the console of ACM; AWS_ENDPOINT_URL may lead elsewhere.",
        )
    return text


def _record(found: Certificate) -> str:
    if found.record is None:
        return "ACM has not said yet which record proves the name."
    name, value = found.record
    return f"The record: {name} CNAME {value}."
