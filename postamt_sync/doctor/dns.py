"""What the world sees of us in the DNS: MX, DKIM, MAIL FROM, SPF, DMARC."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postamt_sync.bootstrap.dns.dns_lookup import look_up
from postamt_sync.bootstrap.dns.records import Servers, identities, records
from postamt_sync.bootstrap.refusals import ForbiddenError
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.doctor.account import Account
from postamt_sync.doctor.finding import Finding, Outcome
from postamt_sync.errors import PostamtError

if TYPE_CHECKING:
    import dns.asyncresolver


@dataclass(frozen=True, slots=True)
class Records:
    """Looks every record up. `stack` names them where AWS lets nobody in: then DKIM is left out,
    whose names only SES knows. `resolver` is made in the check's own thread."""

    account: Account
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
        wanted = records(stack, known, self.servers)
        for sighting in asyncio.run(look_up(wanted, self.resolver())):
            record = sighting.record
            subject = f"{self.subject} {record.type} {record.name}"
            if not sighting.problem:
                yield Finding(subject, Outcome.OK, "Seen in the DNS.")
            else:
                outcome = Outcome.WARNING if sighting.well else Outcome.FAILURE
                yield Finding(subject, outcome, sighting.problem, sighting.remedy)

    def _without_dkim(self, why: str) -> Finding:
        return Finding(
            f"{self.subject} DKIM",
            Outcome.WARNING,
            f"The DKIM records were not looked up: {why[:1].lower()}{why[1:]}.",
            "Run it with an administrator's credentials to have them looked at.",
        )
