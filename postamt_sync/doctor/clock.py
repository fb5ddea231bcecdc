"""Is this machine's clock right? AWS refuses requests that are 15 minutes off (SigV4)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from postamt_sync.aws.clients import ca_bundle, new_session, unsigned_client
from postamt_sync.bootstrap.aws_client import administrator_refusal
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.errors import TryLaterError
from postamt_sync.quantities import span

SECONDS = 8
REFUSED = 900.0
"""Seconds off at which AWS refuses what we sign."""
NOTICED = 10.0
"""Seconds; the header knows whole ones, and the way takes time too."""
SET_IT = "Have the clock set by itself: sudo timedatectl set-ntp true"


def date_at_aws(region: str) -> float:
    """Return what time it is at AWS, in seconds since 1970; needs no credentials.

    Whatever STS answers to a plain GET bears the date (RFC 9110, section 6.6.1).
    """
    session = new_session(region)
    url = unsigned_client(session, "sts", region).meta.endpoint_url
    bundle: Any = ca_bundle(session)
    try:
        asking = URLLib3Session(verify=bundle, proxies=get_environ_proxies(url), timeout=SECONDS)
        answer = asking.send(AWSRequest("GET", url).prepare())
    except Exception as error:
        raise administrator_refusal("sts", error) from error
    try:
        return parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except ValueError as error:
        raise TryLaterError(
            "What answers in place of AWS gives no date.",
            "Check whether a proxy or a login page stands between us and AWS.",
        ) from error


@dataclass(frozen=True, slots=True)
class ClockCheck:
    """Compares the clock with AWS's."""

    theirs: Callable[[], float]
    ours: Callable[[], float] = time.time

    @property
    def subject(self) -> str:
        return "clock"

    def look(self) -> Iterable[Finding]:
        theirs = self.theirs()
        off = self.ours() - theirs
        if abs(off) <= NOTICED:
            yield Finding(self.subject, Severity.OK, "The clock agrees with that of AWS.")
            return
        words = f"The clock is {span(abs(off))} {'fast' if off > 0 else 'slow'}."
        if abs(off) >= REFUSED:
            words = f"{words[:-1]}: AWS refuses our requests."
        failed = abs(off) >= REFUSED / 2
        yield Finding(self.subject, Severity.FAILURE if failed else Severity.WARNING, words, SET_IT)
