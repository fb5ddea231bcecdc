"""What can go wrong, told in two sentences: what is wrong, then what to do.

Everything is temporary until proven permanent: a temporary failure is tried again, a permanent
one quarantines the mail. An error is raised or returned, and logged once, where it is handled.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass


class ExitCode(enum.IntEnum):
    """What the process says when it ends; 64 to 78 are those of sysexits.h."""

    OK = 0
    UNDELIVERED = 1
    CHANGES = 2
    USAGE = 64
    INTERNAL = 70
    """An error that nobody expected: a fault of ours."""
    TRY_LATER = 75
    CONFIGURATION = 78


class PostamtError(Exception):
    """A failure that a person may read.

    `problem` is one sentence that says what is wrong, `hint` one that says what to do (may be
    empty). Both are plain text on one line: whoever raises makes foreign input safe first.
    """

    exit_code = ExitCode.UNDELIVERED
    temporary = True

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.problem} {self.hint}".rstrip()


class UsageError(PostamtError):
    """The command line asks for something that cannot be."""

    exit_code = ExitCode.USAGE


class TryLaterError(PostamtError):
    """The world is in the way for now: network, clock, a lock that somebody holds, a full disk."""

    exit_code = ExitCode.TRY_LATER


class MisconfiguredError(PostamtError):
    """A person must change something: credentials, region, bucket. The daemon keeps trying."""

    exit_code = ExitCode.CONFIGURATION


class CredentialsError(MisconfiguredError):
    """AWS refuses our credentials, or what they may do; there may also be none at all."""


class UndeliverableError(PostamtError):
    """This mail can never be delivered as things are; it is quarantined with the reason."""

    temporary = False


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the configuration: its key, what is wrong, an example of right."""

    key: str
    wrong: str
    example: str = ""

    def __str__(self) -> str:
        example = f" Example: {self.example}" if self.example else ""
        return f"{self.key}: {self.wrong}{example}"


class ConfigurationError(MisconfiguredError):
    """The configuration cannot be used; all its problems at once, in the order of the file."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        count = len(problems)
        super().__init__(
            f"The configuration {source} has {count} problem{'s' if count != 1 else ''}.",
            "Mend what is listed and check it with: postamt-sync check",
        )
        self.problems = tuple(problems)
