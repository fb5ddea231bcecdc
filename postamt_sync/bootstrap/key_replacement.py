"""Replaces an access key at once and deletes the old one: for a key whose file or secret is lost.

Nothing else replaces a key. A rotation (`key_rotation.py`) keeps both valid for a while.
"""

from __future__ import annotations

from dataclasses import dataclass

from postamt_sync.bootstrap.key_file import SyncKeyFile, settle
from postamt_sync.bootstrap.resources.access_key import MOST_KEYS, AccessKeyResource, Key
from postamt_sync.errors import MisconfiguredError, UsageError
from postamt_sync.events import printable


@dataclass(frozen=True, slots=True)
class Replacement:
    """What to do: `seen` are all keys of the user, `old` is the one to delete. `lost` is one whose
    secret nobody has, left behind by an interrupted run."""

    key: AccessKeyResource
    seen: tuple[Key, ...]
    lost: Key | None
    old: Key | None

    @property
    def warning(self) -> str:
        """What will stop working, for a person to agree to."""
        if self.old is None:
            return f"Nobody has the secret of {self.key.user}'s key."
        old = self.old["AccessKeyId"]
        used = self.key.last_used(self.old)
        told = f"was used last on {used:%Y-%m-%d}" if used else "was never used, as IAM says"
        if isinstance(self.key.file, SyncKeyFile):
            means = (
                "The box at home can read no mail until it has the new one; what comes in the "
                "meantime stays in the bucket."
            )
        else:
            means = (
                "Every mail client that sends with it, and Dovecot's relay, will be refused until "
                "it has the new user name and password."
            )
        return f"The key {old} of {self.key.user} {told}, and will be deleted. {means}"

    def carry_out(self) -> str:
        """Replace the key and return the new one's id; it is in its file on return.

        If IAM allows one more key, the old one is deleted last: after an interruption both work.
        """
        if self.old is None:
            return self.key.make(self.seen, self.lost)
        old = self.old["AccessKeyId"]
        others = [key for key in self.seen if key is not self.lost]
        if len(others) == MOST_KEYS:
            self.key.check_unchanged(self.seen)
            self.key.delete(old)
            left = [key for key in others if key is not self.old]
            return self.key.make(left, replacing=old)
        made = self.key.make(self.seen, self.lost, replacing=old)
        self.key.delete(old)
        return made


def replacement(key: AccessKeyResource, key_id: str = "") -> Replacement:
    """Find out what to replace; `key_id` picks one of two keys.

    Only reads, except that a key waiting beside its file is moved into place. Raises
    MisconfiguredError if there is nothing to replace or the file holds something to keep, and
    UsageError if it is not clear which key is meant.
    """
    keys = key.keys()
    if key.waiting(keys):
        key.check_file(keys)
        settle(key.file.path)
    lost = key.lost(keys)
    others = [one for one in keys if one is not lost]
    if not keys:
        raise MisconfiguredError(
            f"The user {key.user} has no key.",
            f"Make it with: {key.place.line.typed('bootstrap apply')}",
        )
    old = _chosen(key, others, key_id)
    key.check_file(keys)
    held = key.file.key_id()
    if held in {one["AccessKeyId"] for one in others if one is not old}:
        raise MisconfiguredError(
            f"{key.file.path} holds {held}, which is to stay.",
            "Name another directory for the new key with --out.",
        )
    return Replacement(key, tuple(keys), lost, old)


def _chosen(key: AccessKeyResource, others: list[Key], key_id: str) -> Key | None:
    if key_id:
        for one in others:
            if one["AccessKeyId"] == key_id:
                return one
        raise UsageError(
            f"{key.user} has no key {printable(key_id, 128)}.",
            f"Name one that it has: {', '.join(one['AccessKeyId'] for one in others)}."
            if others
            else "It has none: leave --key out.",
        )
    if len(others) < MOST_KEYS:
        return others[0] if others else None
    held = key.file.key_id()
    told = []
    for one in others:
        used = key.last_used(one)
        there = f"in {key.file.path}, " if one["AccessKeyId"] == held else ""
        told.append(
            f"{one['AccessKeyId']} ({there}made on {one['CreateDate']:%Y-%m-%d}, "
            f"{f'used last on {used:%Y-%m-%d}' if used else 'never used'})"
        )
    raise UsageError(
        f"{key.user} has two keys: {' and '.join(told)}.",
        "Say with --key which one is to be replaced; to delete the older one after a rotation: "
        f"{key.place.line.typed(f'bootstrap credentials rotate {key.place.who}')} --finish",
    )
