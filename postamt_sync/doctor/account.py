"""The account at AWS, opened once for all checks, and whose credentials open it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from botocore.exceptions import NoCredentialsError

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Change, Conflict
from postamt_sync.bootstrap.plan import Resource
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.doctor.check import Finding, NotCheckedError, Severity
from postamt_sync.errors import PostamtError
from postamt_sync.events import printable

THE_DAEMONS = (
    "Use the daemon's: sudo AWS_SHARED_CREDENTIALS_FILE=/etc/postamt-sync/credentials "
    "postamt-sync doctor; or an administrator's, with AWS_PROFILE."
)
APPLY = "Fix it with: postamt-sync bootstrap apply"


class AwsAccount:
    """Opens itself when it is first asked, whichever check asks; the others wait for that."""

    def __init__(self, opening: Callable[[], tuple[Stack, AwsClient]]) -> None:
        self._opening = opening
        self._lock = threading.Lock()
        self._opened: tuple[Stack, AwsClient] | None = None
        self._trouble: PostamtError | None = None

    def open(self) -> tuple[Stack, AwsClient]:
        """Return the stack and its account; raises NotCheckedError where AWS lets nobody in."""
        try:
            return self.open_or_say_why()
        except PostamtError as error:
            raise NotCheckedError(
                "Not checked: the credentials give access to no account.",
                "Fix the credentials first.",
            ) from error

    def open_or_say_why(self) -> tuple[Stack, AwsClient]:
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
class CredentialsCheck:
    """Are there credentials that AWS knows?"""

    account: AwsAccount

    @property
    def subject(self) -> str:
        return "credentials"

    def look(self) -> Iterable[Finding]:
        try:
            stack, aws = self.account.open_or_say_why()
        except PostamtError as error:
            none = isinstance(error.__cause__, NoCredentialsError)
            remedy = THE_DAEMONS if none else error.hint
            yield Finding(self.subject, Severity.FAILURE, error.problem, remedy)
            return
        who = printable(str((aws.read("sts", "get_caller_identity") or {}).get("Arn", "")))
        message = f"AWS takes us for {who.rpartition(':')[2]} in account {stack.account}."
        yield Finding(self.subject, Severity.OK, message)


@dataclass(frozen=True, slots=True)
class PlanCheck:
    """Is a part of the stack at AWS what `bootstrap plan` wants it to be?"""

    subject: str
    account: AwsAccount
    resource: Callable[[Stack, AwsClient], Resource]
    well: str

    def look(self) -> Iterable[Finding]:
        yield from plan_check(self.subject, self.resource(*self.account.open()), self.well)


def plan_check(subject: str, resource: Resource, well: str) -> Iterator[Finding]:
    """Yield every difference and conflict as a failure; `well` is what to say where there is none.

    Notes are left to `bootstrap plan`. Raises PostamtError.
    """
    wrong = False
    for item in resource.plan():
        match item:
            case Conflict():
                wrong = True
                yield Finding(subject, Severity.FAILURE, item.message, item.remedy)
            case Change():
                wrong = True
                message = f"Differs from the plan: {item.message}."
                yield Finding(subject, Severity.FAILURE, message, APPLY)
    if not wrong:
        yield Finding(subject, Severity.OK, well)
