"""A user's access key, and the file at home that it lies in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws import Aws
from postamt_sync.bootstrap.call import Call, Change, Item, Note, call
from postamt_sync.bootstrap.keyfile import KeyFile

MISSING = ("NoSuchEntity",)
MOST_KEYS = 2
"""What IAM allows a user."""

Key = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One key in use. One that was never used and whose file is gone is replaced."""

    aws: Aws
    user: str
    file: KeyFile

    @property
    def title(self) -> str:
        return f"key of user {self.user}"

    def plan(self) -> Iterator[Item]:
        keys = self.keys()
        held = self.file.key_id()
        if any(key["AccessKeyId"] == held for key in keys):
            if any(key["AccessKeyId"] == held and key["Status"] != "Active" for key in keys):
                yield Note(f"the key in {self.file.path} is switched off in IAM")
            return
        unused = [key for key in keys if not self.was_used(key)]
        if len(unused) < len(keys):
            yield Note(
                f"a key is in use, but not the one in {self.file.path}: name the directory that "
                "has its file with --out, or make a new key with: "
                "postamt-sync bootstrap credentials rotate"
            )
            return
        calls = [self.delete(key) for key in unused]
        words = "never used and its file is gone: replace it" if unused else "create"
        yield Change(f"{words}; the new one is put into {self.file.path}", [*calls, self.create()])

    def destroy(self) -> Iterator[Item]:
        yield from ()  # the user's own removal takes its keys along

    def keys(self) -> list[Key]:
        """Return the user's keys, the oldest first; none where there is no such user."""
        keys: list[Key] = self.aws.pages(
            "iam", "list_access_keys", "AccessKeyMetadata", missing=MISSING, UserName=self.user
        )
        return sorted(keys, key=lambda key: key["CreateDate"])

    def create(self) -> Call:
        parameters = {"UserName": self.user}
        return Call("iam", "create_access_key", parameters, patience=MISSING, keep=self.file.keep)

    def delete(self, key: Key) -> Call:
        return call("iam", "delete_access_key", UserName=self.user, AccessKeyId=key["AccessKeyId"])

    def was_used(self, key: Key) -> bool:
        """Tell whether anybody ever signed with the key."""
        answer = self.aws.read("iam", "get_access_key_last_used", AccessKeyId=key["AccessKeyId"])
        return bool((answer or {}).get("AccessKeyLastUsed", {}).get("LastUsedDate"))
