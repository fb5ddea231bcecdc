"""What the world sees of us in the DNS: MX, DKIM, MAIL FROM, SPF, DMARC."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postamt_sync.aws.errors import ForbiddenError
from postamt_sync.bootstrap.dns.dns_check import WhyMissing
from postamt_sync.bootstrap.dns.dns_lookup import look_up
from postamt_sync.bootstrap.dns.record import Record
from postamt_sync.bootstrap.dns.records import Servers, identities, records
from postamt_sync.bootstrap.dns.webmail_records import webmail_records
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.doctor.account import AwsAccount
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.errors import PostamtError

if TYPE_CHECKING:
    import dns.asyncresolver


@dataclass(frozen=True, slots=True)
class DnsCheck:
    """Looks every record up. `stack` names them where AWS lets nobody in: then DKIM is left out,
    whose names only SES knows. `resolver` is made in the check's own thread."""

    account: AwsAccount
    stack: Stack
    servers: Servers
    resolver: Callable[[], dns.asyncresolver.Resolver]

    @property
    def subject(self) -> str:
        return "DNS"

    def look(self) -> Iterable[Finding]:
        try:
            stack, aws = self.account.open()
            known = identities(stack, aws)
        except ForbiddenError as error:
            stack, known = self.stack, {}
            yield self._without_dkim(f"{error.problem[:-1]}, which tells their names")
        except PostamtError:
            stack, known = self.stack, {}
            yield self._without_dkim("only SES knows their names, and it cannot be asked")
        wanted = list(records(stack, known, self.servers))
        yield from self._of_webmail(wanted)
        yield from record_findings(wanted, self.resolver(), f"{self.subject} ")

    def _of_webmail(self, wanted: list[Record]) -> Iterator[Finding]:
        """Add the webmail's records, whose names only AWS knows."""
        if self.stack.webmail is None:
            return
        try:
            wanted += webmail_records(*self.account.open())
        except PostamtError as error:
            yield Finding(
                f"{self.subject} webmail",
                Severity.WARNING,
                f"The webmail's records were not looked up: {error.problem}",
                "Run it with an administrator's credentials to check them too.",
            )

    def _without_dkim(self, why: str) -> Finding:
        return Finding(
            f"{self.subject} DKIM",
            Severity.WARNING,
            f"The DKIM records were not looked up: {why[:1].lower()}{why[1:]}.",
            "Run it with an administrator's credentials to check them too.",
        )


def record_findings(
    wanted: Iterable[Record], resolver: dns.asyncresolver.Resolver, prefix: str = ""
) -> Iterator[Finding]:
    """Look records up and yield what was found of each; the subject is "MX example.com" with the
    prefix before it."""
    for dns_finding in asyncio.run(look_up(list(wanted), resolver)):
        record = dns_finding.record
        subject = f"{prefix}{record.type} {record.name}"
        if not dns_finding.problem:
            yield Finding(subject, Severity.OK, "Seen in the DNS.")
        else:
            outcome = Severity.WARNING if dns_finding.well else Severity.FAILURE
            yield Finding(
                *(subject, outcome, dns_finding.problem, dns_finding.remedy, record.domain),
                follows=dns_finding.why_missing is not WhyMissing.NO_DOMAIN,
            )
