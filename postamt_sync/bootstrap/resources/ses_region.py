"""Whether SES can receive and send mail for us in this region, and with which limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from postamt_sync.aws.regions import WITHOUT_SMTP, refused_region
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Conflict, Note, NoteKind, PlanItem
from postamt_sync.bootstrap.stack import Stack

IN_SANDBOX = (
    "SES is in its sandbox: you can send only to addresses and domains that SES has verified, your "
    "own among them, and to its mailbox simulator, 200 mails a day."
)
"""SES Developer Guide, "Request production access"."""


@dataclass(frozen=True, slots=True)
class SesRegion:
    """The region, as a resource: its plan consists of conflicts and notes only."""

    stack: Stack
    aws: AwsClient

    @property
    def title(self) -> str:
        return f"SES in {self.stack.region}"

    def plan(self) -> Iterator[PlanItem]:
        region = self.stack.region
        if refused := refused_region(region):
            yield Conflict(*refused)
            return
        if not self.stack.domains:
            yield Conflict(
                "No domain is configured to get mail.",
                'Name it in the configuration: [stack] domains = ["example.com"].',
            )
        if region in WITHOUT_SMTP:
            yield Note(
                f"SES has no SMTP endpoint in {region}: mail comes in, but mail clients cannot "
                "send through it. Send through another region, or choose another one for all."
            )
        account = self.aws.read("sesv2", "get_account")
        assert account is not None
        if not account.get("ProductionAccessEnabled"):
            yield Note(
                f"{IN_SANDBOX} Mail comes in. Ask for more with: "
                "postamt-sync bootstrap production-access",
                NoteKind.SANDBOX,
            )
        if account.get("EnforcementStatus", "HEALTHY") != "HEALTHY":
            yield Note(
                f"AWS has put sending under {account['EnforcementStatus']}: "
                "look at the SES console."
            )

    def destroy(self) -> Iterator[PlanItem]:
        yield from ()
