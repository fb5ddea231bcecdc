"""SES: does it know the domains, may we send, does our rule take the mail?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from postamt_sync.aws.regions import WITHOUT_SMTP, refused_region
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.policies import smtp_policy
from postamt_sync.bootstrap.resources.identity import IdentityResource
from postamt_sync.bootstrap.resources.receipt_rule import ReceiptRuleResource
from postamt_sync.bootstrap.resources.ses_region import IN_SANDBOX
from postamt_sync.bootstrap.resources.user import UserResource
from postamt_sync.bootstrap.sender_policy import sender_policy, senders
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.doctor.account import APPLY, AwsAccount, plan_check
from postamt_sync.doctor.finding import STACK, Finding, Severity

DNS = "Show the records with: postamt-sync bootstrap dns"


@dataclass(frozen=True, slots=True)
class IdentitiesCheck:
    """Has SES verified the domains? `each` begins the subjects of the findings on one domain."""

    account: AwsAccount
    subject: str = "SES identity"
    each: str = "SES identity"
    remedy: str = APPLY

    def look(self) -> Iterable[Finding]:
        stack, aws = self.account.open()
        if not stack.domains:
            yield Finding(
                self.subject,
                Severity.WARNING,
                "No domain is configured to get mail, so none could be checked.",
                'Name it in the configuration: [stack] domains = ["example.com"].',
            )
        for domain in stack.domains:
            yield from self._domain(stack, aws, domain)

    def _domain(self, stack: Stack, aws: AwsClient, domain: str) -> Iterator[Finding]:
        subject = f"{self.each} {domain}"
        identity = IdentityResource(stack, aws, domain).read()
        if identity is None:
            yield Finding(
                subject,
                Severity.FAILURE,
                "SES does not know the domain.",
                self.remedy,
                STACK,
                follows=True,
            )
            return
        dkim = identity.get("DkimAttributes", {}).get("Status", "PENDING")
        if identity.get("VerifiedForSendingStatus") and dkim == "SUCCESS":
            yield Finding(subject, Severity.OK, "The domain and its DKIM are verified.")
        else:
            words = f"SES has not verified the domain (DKIM: {dkim.lower()})."
            remedy = f"{DNS}; SES looks within 72 hours."
            yield Finding(subject, Severity.FAILURE, words, remedy, domain, follows=True)
        status = identity.get("MailFromAttributes", {}).get("MailFromDomainStatus", "PENDING")
        if status != "SUCCESS":
            words = f"SES has not seen the MAIL FROM records ({status.lower()})."
            yield Finding(subject, Severity.WARNING, words, DNS, domain, follows=True)


@dataclass(frozen=True, slots=True)
class SendingCheck:
    """Does SES work in this region, and let us send to everybody?"""

    account: AwsAccount

    @property
    def subject(self) -> str:
        return "SES sending"

    def look(self) -> Iterable[Finding]:
        stack, aws = self.account.open()
        if refused := refused_region(stack.region):
            yield Finding(self.subject, Severity.FAILURE, *refused)
        account = aws.read("sesv2", "get_account") or {}
        enforcement = account.get("EnforcementStatus", "HEALTHY")
        if enforcement != "HEALTHY":
            words = f"AWS has put sending under {enforcement}."
            yield Finding(self.subject, Severity.FAILURE, words, "Look at the SES console.")
        elif not account.get("ProductionAccessEnabled"):
            yield Finding(
                self.subject,
                Severity.WARNING,
                IN_SANDBOX,
                "Ask for more with: postamt-sync bootstrap production-access",
            )
        else:
            yield Finding(self.subject, Severity.OK, "Out of the sandbox, in good standing.")


@dataclass(frozen=True, slots=True)
class SmtpUser:
    """May mail clients send as the stack means them to?"""

    account: AwsAccount

    @property
    def subject(self) -> str:
        return "SMTP user"

    def look(self) -> Iterable[Finding]:
        stack, aws = self.account.open()
        if not stack.domains or stack.region in WITHOUT_SMTP:
            return
        if not stack.smtp_senders:
            user = UserResource(stack, aws, stack.smtp_user, smtp_policy(stack))
            well = "The user for sending and its policy are as planned."
            yield from plan_check(self.subject, user, well)
        for sender in senders(stack):
            policy = sender_policy(stack, sender)
            user = UserResource(stack, aws, stack.smtp_user_of(sender.name), policy)
            well = f"The user for sending of {sender.name} and its policy are as planned."
            yield from plan_check(f"{self.subject} {sender.name}", user, well)


@dataclass(frozen=True, slots=True)
class ReceiptRuleCheck:
    """Does our rule stand in the active rule set, enabled, with nothing before it that swallows?

    With `planned` it is also compared with the plan, for who does not do that anyway. `about`
    is the subject of its findings.
    """

    account: AwsAccount
    subject: str = "receipt rule"
    about: str = "receipt rule"
    remedy: str = APPLY
    planned: bool = True

    def look(self) -> Iterable[Finding]:
        rule = ReceiptRuleResource(*self.account.open())
        well = "Our rule stands in the active rule set."
        if not rule.is_active():
            words = "Our rule is not in the active rule set, so SES takes no mail for us."
            yield Finding(self.about, Severity.FAILURE, words, self.remedy, STACK, follows=True)
        elif self.planned:
            yield from plan_check(self.about, rule, well)
        else:
            yield Finding(self.about, Severity.OK, well)
