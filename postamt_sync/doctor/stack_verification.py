"""Is the stack as it should be, and does it work? A plan that must be empty, then live probes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Change
from postamt_sync.bootstrap.dns.records import Servers, identities, records
from postamt_sync.bootstrap.dns.webmail_records import webmail_records
from postamt_sync.bootstrap.plan import Resource, plan
from postamt_sync.bootstrap.resources.topic import WebhookSubscriptionResource
from postamt_sync.bootstrap.smoke_test import WITHIN, SmokeTest
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.doctor.account import AwsAccount, makes
from postamt_sync.doctor.check import Check, findings_of
from postamt_sync.doctor.dns import record_findings
from postamt_sync.doctor.finding import PARTS_OF_A_STACK, STACK, Finding, Missing, Severity
from postamt_sync.doctor.invocation import InvocationCheck
from postamt_sync.doctor.ses import IdentitiesCheck, ReceiptRuleCheck
from postamt_sync.doctor.webmail import (
    Ask,
    WebmailCertificateCheck,
    ask,
    function_check,
    webmail_checks,
)

if TYPE_CHECKING:
    import dns.asyncresolver


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
    """The command that fixes what differs from the plan."""
    ask: Ask = ask

    def findings(self) -> Iterator[Finding]:
        """Yield what was found, as it is found."""
        for check in self._checks():
            yield from findings_of(check)

    def _of_webmail(self, account: AwsAccount, remedy: str) -> Iterator[Check]:
        """Without a resolver nothing is asked for by name."""
        if self.resolver is not None:
            yield from webmail_checks(account, self.ask, remedy)
        else:
            yield from (WebmailCertificateCheck(account), function_check(account, remedy))

    def _checks(self) -> Iterator[Check]:
        account = AwsAccount(lambda: (self.stack, self.aws))
        remedy = f"Fix it with: {self.apply}"
        yield WholePlanCheck(self.resources, remedy)
        # The plan has been compared as a whole.
        yield ReceiptRuleCheck(account, "rule", remedy=remedy, planned=False)
        if self.stack.domains:
            yield IdentitiesCheck(account, "identities", "identity", remedy)
        if self.resolver is not None:
            yield RecordsCheck(account, self.servers, self.resolver)
        if self.stack.public_url:
            yield ConfirmedCheck(account)
        yield InvocationCheck(account, remedy)
        if self.stack.webmail is not None:
            yield from self._of_webmail(account, remedy)
        if self.smoke_test is not None:
            yield SmokeTestCheck(self.smoke_test)


@dataclass(frozen=True, slots=True)
class WholePlanCheck:
    """Would `apply` change anything?"""

    resources: Sequence[Resource]
    remedy: str

    @property
    def subject(self) -> str:
        return "plan"

    def look(self) -> Iterable[Finding]:
        found = plan(self.resources)
        for title, conflict in found.conflicts:
            yield Finding(title, Severity.FAILURE, conflict.message, conflict.remedy)
        changes: dict[str, list[Change]] = {}
        for title, change in found.changes:
            changes.setdefault(title, []).append(change)
        missing = [title for title, some in changes.items() if any(map(makes, some))]
        if len(missing) >= PARTS_OF_A_STACK:
            words = f"Not at AWS: {', '.join(missing)}."
            yield Finding(self.subject, Severity.FAILURE, words, self.remedy, STACK)
        for title, some in changes.items():
            words = f"differs: {'; '.join(change.message for change in some)}."
            cause = Missing(title) if title in missing else STACK
            follows = title not in missing
            yield Finding(title, Severity.FAILURE, words, self.remedy, cause, follows=follows)
        if not found.conflicts and not found.changes:
            yield Finding(self.subject, Severity.OK, "Everything at AWS is as planned.")


@dataclass(frozen=True, slots=True)
class RecordsCheck:
    """Are the records in the DNS? DKIM's too, whose names SES must tell."""

    account: AwsAccount
    servers: Servers
    resolver: dns.asyncresolver.Resolver

    @property
    def subject(self) -> str:
        return "records"

    def look(self) -> Iterable[Finding]:
        stack, aws = self.account.open()
        wanted = records(stack, identities(stack, aws), self.servers)
        yield from record_findings([*wanted, *webmail_records(stack, aws)], self.resolver)


@dataclass(frozen=True, slots=True)
class ConfirmedCheck:
    """Is the daemon's subscription confirmed? Only looked at: there may be no daemon yet."""

    account: AwsAccount

    @property
    def subject(self) -> str:
        return "subscription"

    def look(self) -> Iterable[Finding]:
        stack, aws = self.account.open()
        if WebhookSubscriptionResource(stack, aws).is_confirmed():
            yield Finding("webhook", Severity.OK, "The daemon's subscription is confirmed.")
        else:
            yield Finding(
                "webhook",
                Severity.FAILURE,
                "The daemon's subscription is not confirmed.",
                "Start the daemon (postamt-sync run), and see what it says; SNS must reach "
                f"{stack.public_url}.",
                STACK,
                follows=True,
            )


@dataclass(frozen=True, slots=True)
class SmokeTestCheck:
    """Does the topic send a notification of a new object?"""

    smoke_test: SmokeTest

    @property
    def subject(self) -> str:
        return "announcement"

    def look(self) -> Iterable[Finding]:
        seconds = self.smoke_test.announced_within()
        if seconds is not None:
            message = f"The notification of a new object came after {seconds:.1f} s."
            yield Finding(self.subject, Severity.OK, message)
        else:
            yield Finding(
                self.subject,
                Severity.FAILURE,
                f"No notification of a new object came within {WITHIN:.0f} s.",
                "Check whether something between bucket and topic was changed by hand; then: "
                "postamt-sync bootstrap plan",
            )
