"""The account at AWS, opened once for all checks, and whose credentials open it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from botocore.exceptions import NoCredentialsError

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Change, Conflict
from postamt_sync.bootstrap.plan import Resource
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.doctor.check import NotCheckedError
from postamt_sync.doctor.finding import CREDENTIALS, Finding, Missing, Severity
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
                CREDENTIALS,
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
            yield Finding(self.subject, Severity.FAILURE, error.problem, remedy, CREDENTIALS)
            return
        who = printable(str((aws.read("sts", "get_caller_identity") or {}).get("Arn", "")))
        message = f"AWS knows us as {who.rpartition(':')[2]} in account {stack.account}."
        yield Finding(self.subject, Severity.OK, message)


@dataclass(frozen=True, slots=True)
class PlanCheck:
    """Is a part of the stack at AWS what `bootstrap plan` wants it to be?"""

    subject: str
    account: AwsAccount
    resource: Callable[[Stack, AwsClient], Resource]
    well: str
    needs: str = ""
    """Without which other thing it cannot be right."""

    def look(self) -> Iterable[Finding]:
        resource = self.resource(*self.account.open())
        yield from plan_check(self.subject, resource, self.well, self.needs)


def plan_check(subject: str, resource: Resource, well: str, needs: str = "") -> Iterator[Finding]:
    """Yield differences and conflicts as failures; `well` is what to say where there is none.

    Notes are left to `bootstrap plan`. Raises PostamtError.
    """
    items = list(resource.plan())
    conflicts = [item for item in items if isinstance(item, Conflict)]
    changes = [item for item in items if isinstance(item, Change)]
    for conflict in conflicts:
        yield Finding(subject, Severity.FAILURE, conflict.message, conflict.remedy)
    if changes:
        message = f"Differs from the plan: {'; '.join(change.message for change in changes)}."
        made = any(map(makes, changes))
        cause = Missing(subject if made else needs) if made or needs else ""
        yield Finding(subject, Severity.FAILURE, message, APPLY, cause, follows=not made)
    if not conflicts and not changes:
        yield Finding(subject, Severity.OK, well)


def makes(change: Change) -> bool:
    """Tell whether a change makes a thing that is not there."""
    known = change.calls if isinstance(change.calls, Sequence) else ()
    return any(call.operation.startswith(("create_", "subscribe")) for call in known)
