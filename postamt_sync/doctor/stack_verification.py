"""Is the stack as it should be, and does it work? A plan that must be empty, then live probes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.dns.dns_lookup import look_up
from postamt_sync.bootstrap.dns.records import Servers, identities, records
from postamt_sync.bootstrap.plan import Resource, plan
from postamt_sync.bootstrap.resources.identity import IdentityResource
from postamt_sync.bootstrap.resources.receipt_rule import ReceiptRuleResource
from postamt_sync.bootstrap.resources.subscription import WebhookSubscriptionResource
from postamt_sync.bootstrap.smoke_test import WITHIN, SmokeTest
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.errors import PostamtError

if TYPE_CHECKING:
    import dns.asyncresolver

DNS = "Show the records with: postamt-sync bootstrap dns"


@dataclass(frozen=True, slots=True)
class Verification:
    """Looks at everything, one thing after the other; what fails does not end it.

    `resolver` asks the DNS; without one that part is left out. `smoke_test` puts an object.
    """

    stack: Stack
    aws: AwsClient
    resources: Sequence[Resource]
    servers: Servers = field(default_factory=Servers)
    resolver: dns.asyncresolver.Resolver | None = None
    smoke_test: SmokeTest | None = None
    apply: str = "postamt-sync bootstrap apply"
    """The command that mends what differs from the plan."""

    def findings(self) -> Iterator[Finding]:
        """Yield what was found, as it is found."""
        for check in (
            self._plan,
            self._rule,
            self._identities,
            self._records,
            self._subscription,
            self._announcement,
        ):
            try:
                yield from check()
            except PostamtError as error:
                yield Finding(_subject(check.__name__), Severity.FAILURE, error.problem, error.hint)

    def _plan(self) -> Iterator[Finding]:
        found = plan(self.resources)
        for title, conflict in found.conflicts:
            yield Finding(title, Severity.FAILURE, conflict.message, conflict.remedy)
        for title, change in found.changes:
            yield Finding(title, Severity.FAILURE, f"differs: {change.message}.", self._mend)
        if not found.conflicts and not found.changes:
            yield Finding("plan", Severity.OK, "Everything is at AWS as it should be.")

    @property
    def _mend(self) -> str:
        return f"Mend it with: {self.apply}"

    def _rule(self) -> Iterator[Finding]:
        if ReceiptRuleResource(self.stack, self.aws).is_active():
            yield Finding("receipt rule", Severity.OK, "Our rule stands in the active rule set.")
        else:
            yield Finding(
                "receipt rule",
                Severity.FAILURE,
                "Our rule is not in the active rule set.",
                self._mend,
            )

    def _identities(self) -> Iterator[Finding]:
        for domain in self.stack.domains:
            subject = f"identity {domain}"
            identity = IdentityResource(self.stack, self.aws, domain).read()
            if identity is None:
                yield Finding(
                    subject, Severity.FAILURE, "SES does not know the domain.", self._mend
                )
                continue
            dkim = identity.get("DkimAttributes", {}).get("Status", "PENDING")
            if identity.get("VerifiedForSendingStatus") and dkim == "SUCCESS":
                yield Finding(subject, Severity.OK, "The domain and its DKIM are verified.")
            else:
                message = f"SES has not verified the domain (DKIM: {dkim.lower()})."
                remedy = f"{DNS}; SES sees them within hours, at most 72."
                yield Finding(subject, Severity.FAILURE, message, remedy)
            status = identity.get("MailFromAttributes", {}).get("MailFromDomainStatus", "PENDING")
            if status != "SUCCESS":
                message = f"SES has not seen the MAIL FROM records ({status.lower()})."
                yield Finding(subject, Severity.WARNING, message, DNS)

    def _records(self) -> Iterator[Finding]:
        if self.resolver is None:
            return
        wanted = records(self.stack, identities(self.stack, self.aws), self.servers)
        for dns_finding in asyncio.run(look_up(wanted, self.resolver)):
            record = dns_finding.record
            subject = f"{record.type} {record.name}"
            if not dns_finding.problem:
                yield Finding(subject, Severity.OK, "Seen in the DNS.")
            else:
                outcome = Severity.WARNING if dns_finding.well else Severity.FAILURE
                yield Finding(subject, outcome, dns_finding.problem, dns_finding.remedy)

    def _subscription(self) -> Iterator[Finding]:
        if not self.stack.public_url:
            return
        if WebhookSubscriptionResource(self.stack, self.aws).is_confirmed():
            yield Finding("webhook", Severity.OK, "The daemon's subscription is confirmed.")
        else:
            yield Finding(
                "webhook",
                Severity.FAILURE,
                "The daemon's subscription is not confirmed.",
                "Start the daemon (postamt-sync run), and see what it says; SNS must reach "
                f"{self.stack.public_url}.",
            )

    def _announcement(self) -> Iterator[Finding]:
        if self.smoke_test is None:
            return
        seconds = self.smoke_test.announced_within()
        if seconds is not None:
            message = f"An object in the bucket was announced after {seconds:.1f} s."
            yield Finding("announcement", Severity.OK, message)
        else:
            yield Finding(
                "announcement",
                Severity.FAILURE,
                f"An object in the bucket was not announced within {WITHIN:.0f} s.",
                "Look whether something between bucket and topic was changed by hand; then: "
                "postamt-sync bootstrap plan",
            )


def _subject(check: str) -> str:
    return check.strip("_").replace("_", " ")
