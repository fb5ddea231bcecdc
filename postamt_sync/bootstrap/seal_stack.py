"""The sealing part of a stack: all its names and ARNs, known before anything exists."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from postamt_sync.bootstrap.stack_part import RECENT_DAYS, StackPart
from postamt_sync.mail.seal_table import seal_table_name

LIFECYCLE_DAYS = 3
"""Days added, at most, by what runs once a day: the function, expiry, deletion of old versions."""


def longest_plain(after: int, undo: int) -> int:
    """Return after how many days no plain version of a mail is left. The copy for the poll stays
    plain whatever is sealed, so it counts too."""
    return max(after, RECENT_DAYS) + undo + LIFECYCLE_DAYS


@dataclass(frozen=True, slots=True)
class SealStack(StackPart):
    """The sealing of one stack's mail.

    `key_files` are the owner's certificates; none if sealing was switched off. `after` and `undo`
    are days. `strip`: the index forgets what others wrote. `kms`: SES may have encrypted some mail.
    """

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
        """Days after which no plain version of a mail is left, if the box is up."""
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
        """The EventBridge rule that calls the function once a day."""
        return f"{self.name}-seal"

    @property
    def schedule_arn(self) -> str:
        return self._arn("events", f"rule/{self.schedule}")
