"""A new access key in place of an old one, without a moment in which neither works.

IAM allows a user two keys. So: make the second and put it into the file; when everything uses it,
and not before a grace is over, take the first away.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from postamt_sync.bootstrap.aws import Aws
from postamt_sync.bootstrap.resources.access_key import MOST_KEYS, AccessKey, Key
from postamt_sync.errors import MisconfiguredError, TryLaterError

GRACE = dt.timedelta(days=7)
"""How long the old key stays good beside the new one."""


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class Rotation:
    """One step at a time; which one is next is read off IAM."""

    key: AccessKey
    aws: Aws
    now: Callable[[], dt.datetime] = _now

    def step(self, *, finish: bool = False) -> str:
        """Do what is next and return it in words; `finish` does not wait for the grace.

        Raises TryLaterError while the grace lasts, MisconfiguredError where it is not clear which
        key is the new one. What is told only once is in the file when this returns.
        """
        keys = self.key.keys()
        if not keys:
            raise MisconfiguredError(
                f"The user {self.key.user} has no key.",
                "Make it with: postamt-sync bootstrap apply",
            )
        if len(keys) < MOST_KEYS:
            if finish:
                return f"{self.key.user} has one key only: there is no old one to take away."
            return self._begin(keys[0])
        return self._end(keys, finish=finish)

    def _begin(self, old: Key) -> str:
        self.aws.write(self.key.create())
        return (
            f"A new key of {self.key.user} is in {self.key.file.path}. The old one, "
            f"{old['AccessKeyId']}, works for {GRACE.days} more days at least: put the new one "
            "in its place everywhere, then run this again to take the old one away."
        )

    def _end(self, keys: list[Key], *, finish: bool) -> str:
        held = self.key.file.key_id()
        others = [key for key in keys if key["AccessKeyId"] != held]
        if len(others) == len(keys):
            raise MisconfiguredError(
                f"{self.key.user} has {MOST_KEYS} keys, and {self.key.file.path} holds neither.",
                "Name the directory that has the file with --out, or delete one key in the "
                "IAM console.",
            )
        (old,) = others
        new = next(key for key in keys if key["AccessKeyId"] == held)
        if old["CreateDate"] > new["CreateDate"]:
            return self._undo(old)
        age = self.now() - new["CreateDate"]
        if not finish and age < GRACE:
            left = GRACE - age
            raise TryLaterError(
                f"The old key of {self.key.user} works for "
                f"{max(1, round(left.total_seconds() / 86_400))} more days, so that everything can "
                "be moved to the new one.",
                "When all is moved, take it away at once with --finish.",
            )
        self.aws.write(self.key.delete(old))
        return f"The old key of {self.key.user}, {old['AccessKeyId']}, is taken away."

    def _undo(self, lost: Key) -> str:
        """Take away a new key that never came into the file: its secret is known to nobody."""
        if self.key.was_used(lost):
            raise MisconfiguredError(
                f"{self.key.file.path} holds the older key of {self.key.user}, and the newer one, "
                f"{lost['AccessKeyId']}, is in use.",
                "Name the directory that has the file of the newer one with --out.",
            )
        self.aws.write(self.key.delete(lost))
        return (
            f"A newer key of {self.key.user}, {lost['AccessKeyId']}, never came into "
            f"{self.key.file.path} and was never used: it is taken away. Run this again to begin."
        )
