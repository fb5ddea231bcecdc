"""What can go wrong, told in two sentences: what is wrong, then what to do.

Everything is temporary until proven permanent: a temporary failure is tried again, a permanent
one quarantines the mail. An error is raised or returned, and logged once, where it is handled.
"""

from __future__ import annotations

import enum
import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from postamt_sync.log_line import printable


class ExitCode(enum.IntEnum):
    """What the process says when it ends, each with one meaning; 64 to 78 are those of sysexits.h.

    Scripts depend on the numbers: adding is fine, changing is not.
    """

    OK = 0
    UNDELIVERED = 1
    """Some mail could not be delivered."""
    CHANGES = 2
    """`bootstrap plan`: something is to be done."""
    FINDINGS = 3
    """A check found something: `doctor`, `verify`, `bootstrap verify`."""
    USAGE = 64
    INTERNAL = 70
    """An error that nobody expected: a fault of ours."""
    TRY_LATER = 75
    """It may pass by itself: network, clock, a lock that someone holds, a full disk."""
    CONFIGURATION = 78
    """A person must change something: configuration, credentials, region, bucket."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C, or by "no" to a question. What a shell reports for SIGINT."""
    OUTPUT_CLOSED = 141
    """The reader of our output went away. What a shell reports for SIGPIPE."""


class PostamtError(Exception):
    """A failure that a person may read.

    `problem` is one sentence that says what is wrong, `hint` one that says what to do (may be
    empty). Both are plain text on one line: whoever raises makes foreign input safe first.
    """

    exit_code = ExitCode.TRY_LATER
    temporary = True

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.problem} {self.hint}".rstrip()


class UsageError(PostamtError):
    """The command line is wrong."""

    exit_code = ExitCode.USAGE


class TryLaterError(PostamtError):
    """The world is in the way for now: network, clock, a lock that someone holds, a full disk."""

    exit_code = ExitCode.TRY_LATER


class MisconfiguredError(PostamtError):
    """A person must change something: credentials, region, bucket. The daemon keeps trying."""

    exit_code = ExitCode.CONFIGURATION


class OtherUserError(TryLaterError):
    """Something belongs to another user and is closed to this one; root may use it too."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, "Run it with sudo, or as that user.")

    @classmethod
    def of(cls, error: PermissionError) -> Self:
        """Tell what the system refused."""
        what = printable(str(error.filename or "A file that is needed"), 4096)
        return cls(f"{what} is closed to user {os.geteuid()}, who runs this.")


FULL_DISK = {errno.ENOSPC, errno.EDQUOT}


def unwritable(path: Path, error: OSError, hint: str) -> TryLaterError | MisconfiguredError:
    """Return what to raise where a file cannot be written: a full disk passes, whatever else it is
    stays until a person does as `hint` says."""
    problem = f"{printable(str(path), 4096)} cannot be written: {error.strerror}."
    if error.errno in FULL_DISK:
        return TryLaterError(problem, "Make room there (df -h), then try again.")
    return MisconfiguredError(problem, hint)


class CredentialsError(MisconfiguredError):
    """AWS refuses our credentials, or what they may do; there may also be none at all."""


class UndeliverableError(PostamtError):
    """This mail can never be delivered as things are; it is quarantined with the reason."""

    exit_code = ExitCode.UNDELIVERED
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
            "Fix what is listed and check it with: postamt-sync check",
        )
        self.problems = tuple(problems)
