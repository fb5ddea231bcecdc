"""Sealing beside the stack: every name and ARN of it, known before anything exists."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from postamt_sync.bootstrap.stack_part import RECENT_DAYS, StackPart
from postamt_sync.mail.seal_table import seal_table_name

LIFECYCLE_DAYS = 3
"""What runs once a day, and rounds up, adds at most: function, expiry, end of the old version."""


def longest_plain(after: int, undo: int) -> int:
    """Return the days after which no plain version of a mail is there any more; the copy for the
    poll is plain whatever is sealed."""
    return max(after, RECENT_DAYS) + undo + LIFECYCLE_DAYS


@dataclass(frozen=True, slots=True)
class SealStack(StackPart):
    """The sealing of one stack's mail. `key_files` are the owner's certificates; none where it was
    switched off. `after` and `undo` are days; `strip`: the index forgets what others wrote.
    `kms`: mail may come that SES has encrypted."""

    bucket: str
    prefix: str = "incoming/"
    sealed_prefix: str = "sealed/"
    key_files: tuple[Path, ...] = ()
    after: int = 14
    undo: int = 14
    strip: bool = True
    kms: bool = False

    @property
    def longest_plain(self) -> int:
        """Days after which no plain version of a mail is there any more, if the box is up."""
        return longest_plain(self.after, self.undo)

    @property
    def bucket_arn(self) -> str:
        return self.arn_of_bucket(self.bucket)

    @property
    def table(self) -> str:
        return seal_table_name(self.name)

    @property
    def function(self) -> str:
        return f"{self.name}-seal"

    @property
    def index_function_arn(self) -> str:
        return self.arn_of_function(self.index_function)

    @property
    def schedule(self) -> str:
        """The rule of EventBridge that calls the function once a day."""
        return f"{self.name}-seal"

    @property
    def schedule_arn(self) -> str:
        return self._arn("events", f"rule/{self.schedule}")
