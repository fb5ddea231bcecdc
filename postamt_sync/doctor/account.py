"""The account at AWS, opened once for all checks, and whose credentials open it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from botocore.config import Config
from botocore.exceptions import NoCredentialsError

from postamt_sync.bootstrap.aws_client import Aws
from postamt_sync.bootstrap.change import Change, Conflict
from postamt_sync.bootstrap.plan import Resource
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.doctor.check import NotLookedAtError
from postamt_sync.doctor.finding import Finding, Outcome
from postamt_sync.errors import PostamtError
from postamt_sync.events import printable

HASTY = Config(
    retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=4, read_timeout=6
)
"""For looking: an answer that takes longer is a finding by itself."""

THE_DAEMONS = (
    "Use the daemon's: sudo AWS_SHARED_CREDENTIALS_FILE=/etc/postamt-sync/credentials "
    "postamt-sync doctor; or an administrator's, with AWS_PROFILE."
)
APPLY = "Mend it with: postamt-sync bootstrap apply"


class Account:
    """Opens itself when it is first asked, whichever check asks; the others wait for that."""

    def __init__(self, opening: Callable[[], tuple[Stack, Aws]]) -> None:
        self._opening = opening
        self._lock = threading.Lock()
        self._opened: tuple[Stack, Aws] | None = None
        self._trouble: PostamtError | None = None

    def open(self) -> tuple[Stack, Aws]:
        """Return the stack and its account; raises NotLookedAtError where AWS lets nobody in."""
        try:
            return self.open_or_say_why()
        except PostamtError as error:
            raise NotLookedAtError(
                "Not looked at: the credentials open no account.", "Mend the credentials first."
            ) from error

    def open_or_say_why(self) -> tuple[Stack, Aws]:
        """Return the same, or raise what was in the way."""
        with self._lock:
            if self._trouble is not None:
                raise self._trouble
            if self._opened is None:
                try:
                    self._opened = self._opening()
                except PostamtError as error:
                    self._trouble = error
                    raise
            return self._opened


@dataclass(frozen=True, slots=True)
class Credentials:
    """Are there credentials that AWS knows?"""

    account: Account

    @property
    def subject(self) -> str:
        return "credentials"

    def look(self) -> Iterable[Finding]:
        try:
            stack, aws = self.account.open_or_say_why()
        except PostamtError as error:
            none = isinstance(error.__cause__, NoCredentialsError)
            remedy = THE_DAEMONS if none else error.hint
            yield Finding(self.subject, Outcome.FAILURE, error.problem, remedy)
            return
        who = printable(str((aws.read("sts", "get_caller_identity") or {}).get("Arn", "")))
        words = f"AWS takes us for {who.rpartition(':')[2]} in account {stack.account}."
        yield Finding(self.subject, Outcome.OK, words)


@dataclass(frozen=True, slots=True)
class AsPlanned:
    """Is a part of the stack at AWS what `bootstrap plan` wants it to be?"""

    subject: str
    account: Account
    resource: Callable[[Stack, Aws], Resource]
    well: str

    def look(self) -> Iterable[Finding]:
        yield from as_planned(self.subject, self.resource(*self.account.open()), self.well)


def as_planned(subject: str, resource: Resource, well: str) -> Iterator[Finding]:
    """Yield every difference and conflict as a failure; `well` is what to say where there is none.

    Notes are left to `bootstrap plan`. Raises PostamtError.
    """
    wrong = False
    for item in resource.plan():
        match item:
            case Conflict():
                wrong = True
                yield Finding(subject, Outcome.FAILURE, item.words, item.remedy)
            case Change():
                wrong = True
                words = f"Differs from the plan: {item.words}."
                yield Finding(subject, Outcome.FAILURE, words, APPLY)
    if not wrong:
        yield Finding(subject, Outcome.OK, well)
