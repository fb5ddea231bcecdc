"""What a check is, and how many are made at once, none of which holds up another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from postamt_sync.awaiting import in_own_thread
from postamt_sync.aws.errors import ForbiddenError
from postamt_sync.doctor.finding import Finding, FindingCause, Severity
from postamt_sync.errors import OtherUserError, PostamtError
from postamt_sync.events import printable

AS_ROOT = "To check it: sudo postamt-sync doctor"
SECONDS = 20.0
"""How long a check may take: SES alone answers only one question a second."""


class NotCheckedError(PostamtError):
    """The check could not begin, for a reason that another check reports under this cause."""

    def __init__(self, problem: str, hint: str = "", cause: FindingCause = "") -> None:
        super().__init__(problem, hint)
        self.cause = cause


class Check(Protocol):
    """One link, or a few that are looked at together.

    `look` may block, is cut off after some seconds wherever it is, and changes nothing that
    matters. What it raises becomes a finding: PostamtError a failure with its own two sentences.
    """

    @property
    def subject(self) -> str: ...

    def look(self) -> Iterable[Finding]: ...


@dataclass(frozen=True, slots=True)
class AdministratorsCheck:
    """What the daemon's own credentials need not see: it is no failure where they do not."""

    check: Check

    @property
    def subject(self) -> str:
        return self.check.subject

    def look(self) -> Iterable[Finding]:
        try:
            yield from self.check.look()
        except ForbiddenError as error:
            yield Finding(
                self.subject,
                Severity.WARNING,
                f"Cannot be seen with these credentials: {_as_clause(error.problem)}",
                "Run it with an administrator's credentials to check this too.",
            )


async def examine(checks: Sequence[Check], seconds: float = SECONDS) -> list[Finding]:
    """Make all checks at once; return what they found, in the order of `checks`.

    Ends within `seconds`; a check that takes longer is left behind and counts as failed.
    """
    found = await asyncio.gather(*(_findings(check, seconds) for check in checks))
    return [finding for findings in found for finding in findings]


async def _findings(check: Check, seconds: float) -> list[Finding]:
    try:
        async with asyncio.timeout(seconds):
            return await in_own_thread(lambda: list(findings_of(check)))
    except TimeoutError:
        words = f"No answer within {seconds:g} s."
        remedy = "Look at the network, or at the disk behind it, and run it again."
        return [Finding(check.subject, Severity.FAILURE, words, remedy)]


def findings_of(check: Check) -> Iterator[Finding]:
    """Yield what the check finds and, where it is broken off, why."""
    try:
        yield from check.look()
    except NotCheckedError as error:
        yield Finding(
            check.subject,
            Severity.WARNING,
            error.problem,
            error.hint,
            error.cause,
            bool(error.cause),
        )
    except OtherUserError as error:
        yield Finding(check.subject, Severity.WARNING, error.problem, AS_ROOT)
    except PostamtError as error:
        yield Finding(check.subject, Severity.FAILURE, error.problem, error.hint)
    except PermissionError as error:
        yield Finding(check.subject, Severity.WARNING, OtherUserError.of(error).problem, AS_ROOT)
    except Exception as error:  # noqa: BLE001 - the other checks are still worth having
        words = f"Unexpected error: {type(error).__name__}: {printable(str(error))}"
        yield Finding(check.subject, Severity.FAILURE, words, "Report it, with this text.")


def _as_clause(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
