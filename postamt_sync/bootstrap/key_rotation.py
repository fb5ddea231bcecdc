"""Replaces an access key in such a way that one of the two works at any time.

IAM allows a user two keys. So the first step creates the second key and puts it into the file; the
second step deletes the old one, once it has not been used for a grace period.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from postamt_sync.bootstrap.key_file import settle
from postamt_sync.bootstrap.resources.access_key import MOST_KEYS, AccessKeyResource, Key
from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.quantities import count

GRACE = dt.timedelta(days=7)
"""The grace period: how long the old key stays valid after the new one was created, and after it
was last used."""


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class Rotation:
    """A rotation, one step at a time; IAM's keys show which step is next.

    `agree` asks a person and raises if the answer is no.
    """

    key: AccessKeyResource
    agree: Callable[[str], None]
    now: Callable[[], dt.datetime] = _now

    def step(self, *, finish: bool = False) -> str:
        """Do the next step and say what was done; `finish` does not wait for the grace period.

        A new key is in its file on return. Raises TryLaterError during the grace period, and
        MisconfiguredError if it is not clear which key is the new one.
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
        """Raise if the old key may still be needed; `used` is when it was last used, None if not
        since the new one was created."""
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
        """Return the error for a key newer than the file's: used or not, someone may have it."""
        used = self.key.last_used(newer)
        told = f"was used last on {used:%Y-%m-%d}" if used else "was never used"
        return MisconfiguredError(
            f"{self.key.file.path} holds the older key of {self.key.user}; the newer one, "
            f"{newer['AccessKeyId']}, was made elsewhere and {told}.",
            "Name the directory that has the file of the newer one with --out; or, if nobody has "
            f"it, have it replaced: {self.key.place.replace} --key {newer['AccessKeyId']}",
        )
