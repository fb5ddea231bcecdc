"""A new access key in place of an old one, without a moment in which neither works.

IAM allows a user two keys. So: make the second and put it into the file; when everything uses it,
and not before the old one has been quiet for a grace, take that one away.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.key_file import settle
from postamt_sync.bootstrap.resources.access_key import MOST_KEYS, AccessKeyResource, Key
from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.plural import count

GRACE = dt.timedelta(days=7)
"""How long the old key stays good beside the new one, and after it was last used."""


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class Rotation:
    """One step at a time; which one is next is read off IAM.

    `agree` asks a person, and raises where the answer is no.
    """

    key: AccessKeyResource
    aws: AwsClient
    agree: Callable[[str], None]
    now: Callable[[], dt.datetime] = _now

    def step(self, *, finish: bool = False) -> str:
        """Do what is next and return it in words; `finish` does not wait for the grace.

        Raises TryLaterError while the grace lasts, MisconfiguredError where it is not clear which
        key is the new one. What is told only once is in the file when this returns.
        """
        keys = self.key.keys()
        lost = self.key.lost(keys)
        if not keys or keys == [lost]:
            raise MisconfiguredError(
                f"The user {self.key.user} has no key.",
                f"Make it with: {self.key.place.line.typed('bootstrap apply')}",
            )
        if self.key.waiting(keys):
            self.key.check_file(keys)
            settle(self.key.file.path)
        if len(keys) == MOST_KEYS and lost is None:
            return self._end(keys, finish=finish)
        if finish:
            return f"{self.key.user} has one key only: there is no old one to delete."
        return self._begin(keys, lost)

    def _begin(self, keys: Sequence[Key], lost: Key | None) -> str:
        (old,) = [key["AccessKeyId"] for key in keys if key is not lost]
        self.key.make(keys, lost, replacing=old)
        return (
            f"A new key of {self.key.user} is in {self.key.file.path}. The old one, "
            f"{old}, works for {GRACE.days} more days at least: put the new one "
            "in its place everywhere, then run this again to delete the old one."
        )

    def _end(self, keys: Sequence[Key], *, finish: bool) -> str:
        held = self.key.file.key_id()
        others = [key for key in keys if key["AccessKeyId"] != held]
        if len(others) == len(keys):
            raise MisconfiguredError(
                f"{self.key.user} has {MOST_KEYS} keys, and {self.key.file.path} holds neither.",
                "Name the directory that has the file with --out, or have one of them replaced: "
                f"{self.key.place.replace} --key {others[0]['AccessKeyId']}",
            )
        (old,) = others
        new = next(key for key in keys if key["AccessKeyId"] == held)
        if old["CreateDate"] > new["CreateDate"]:
            raise self._is_not_ours(old)
        begun = self.key.replaces(held) == old["AccessKeyId"]
        used = self.key.last_used(old)
        in_use = used is not None and used > new["CreateDate"]
        if not finish:
            self._check_quiet(old, new, used if in_use else None, begun=begun)
        elif in_use or not begun:
            told = f"was used last on {used:%Y-%m-%d}" if used else "was never used"
            self.agree(f"The key {old['AccessKeyId']} {told}. Delete it?")
        self.key.delete(old["AccessKeyId"])
        return f"The old key of {self.key.user}, {old['AccessKeyId']}, is deleted."

    def _check_quiet(self, old: Key, new: Key, used: dt.datetime | None, *, begun: bool) -> None:
        """Raise where the old key may still be needed; `used` is when it was, since there is a
        new one."""
        if not begun:
            raise MisconfiguredError(
                f"{self.key.user} has {MOST_KEYS} keys, {old['AccessKeyId']} and the one in "
                f"{self.key.file.path}, and not because of a rotation: whether the first is "
                "needed, only you know.",
                "If it is not, delete it with --finish.",
            )
        left = GRACE - (self.now() - (used or new["CreateDate"]))
        if left <= dt.timedelta():
            return
        days = max(1, round(left.total_seconds() / 86_400))
        if used is not None:
            raise TryLaterError(
                f"The old key of {self.key.user}, {old['AccessKeyId']}, is still in use: last on "
                f"{used:%Y-%m-%d}.",
                f"Move what uses it to the new one, and run this again after {count(days, 'day')} "
                "without it; --finish deletes it at once.",
            )
        raise TryLaterError(
            f"The old key of {self.key.user} works for {count(days, 'more day')}, so that "
            "everything can be moved to the new one.",
            "When all is moved, delete it at once with --finish.",
        )

    def _is_not_ours(self, newer: Key) -> MisconfiguredError:
        """Tell of a key that came after the one in the file: used or not, someone may have it."""
        used = self.key.last_used(newer)
        told = f"was used last on {used:%Y-%m-%d}" if used else "was never used"
        return MisconfiguredError(
            f"{self.key.file.path} holds the older key of {self.key.user}; the newer one, "
            f"{newer['AccessKeyId']}, was made elsewhere and {told}.",
            "Name the directory that has the file of the newer one with --out; or, if nobody has "
            f"it, have it replaced: {self.key.place.replace} --key {newer['AccessKeyId']}",
        )
