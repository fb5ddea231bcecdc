"""A user's access key, and the file at home that holds it."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from postamt_sync.bootstrap.aws_client import AwsClient, ChangedMeanwhileError
from postamt_sync.bootstrap.change import Call, Change, Conflict, Note, PlanItem, call
from postamt_sync.bootstrap.key_file import Held, KeyFile, settle
from postamt_sync.bootstrap.key_intent import PendingKey
from postamt_sync.bootstrap.key_place import KeyPlace
from postamt_sync.bootstrap.tags import mapped
from postamt_sync.errors import MisconfiguredError, PostamtError

MISSING = ("NoSuchEntity",)
THROTTLED = ("Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests")
MOST_KEYS = 2
"""What IAM allows a user."""

KEPT = "postamt-sync bootstrap"
_IN_PLACE_OF = f"{KEPT}: in place of "
"""How a key is described once its secret is in a file. IAM's console stores its descriptions the
same way: in a tag of the user, named by the key's id. IAM accepts no comma in it."""

Key = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AccessKeyResource:
    """The access key of one user.

    An active key in IAM is all that is required: where its secret went is the person's business, so
    a key is never replaced just because its file is not here.
    """

    aws: AwsClient
    user: str
    file: KeyFile
    place: KeyPlace

    @property
    def title(self) -> str:
        return f"key of user {self.user}"

    def plan(self) -> Iterator[PlanItem]:
        keys = self.keys()
        held = self.file.look()
        waiting = self.waiting(keys)
        lost = self.lost(keys)
        blocked = self.blocked(held, keys)
        if waiting or not keys or keys == [lost]:
            if blocked:
                yield Conflict(blocked, self.place.another)
            elif waiting:
                message = f"{waiting} was created by a run that was interrupted: move it to"
                yield Change(f"{message} {self.file.path}", act=lambda: settle(self.file.path))
            else:
                message = f"create, and store it in {self.file.path}"
                if lost is not None:
                    message = (
                        f"{lost['AccessKeyId']} was created by a run that was interrupted before "
                        "its secret was stored: delete it, and " + message
                    )
                yield Change(message, act=lambda: self.make(keys, lost))
            return
        mine = [key for key in keys if key["AccessKeyId"] == held.key_id]
        if any(key["Status"] == "Active" for key in mine):
            return
        active = [key["AccessKeyId"] for key in keys if key["Status"] == "Active"]
        if active:
            yield Note(self.place.elsewhere(active, held))
        else:
            yield Note(self.place.switched_off(sorted(ids_of(keys))))

    def destroy(self) -> Iterator[PlanItem]:
        yield from ()  # the user's own removal takes its keys along

    def keys(self) -> list[Key]:
        """Return the user's keys, the oldest first; none if there is no such user."""
        keys: list[Key] = self.aws.pages(
            "iam", "list_access_keys", "AccessKeyMetadata", missing=MISSING, UserName=self.user
        )
        return sorted(keys, key=lambda key: key["CreateDate"])

    def where(self, keys: Collection[Key]) -> tuple[str, Path] | None:
        """Return the id of one of these keys and the file that holds it: ours, else a remembered
        one. For display only."""
        hints = self.place.hints.files()
        remembered = (hints[key] for key in sorted(ids_of(keys)) if key in hints)
        for path in (self.file.path, *remembered):
            found = self.file.look(path).key_id
            if found in ids_of(keys):
                return found, path
        return None

    def waiting(self, keys: Collection[Key]) -> str:
        """Return the id of an active key that an interrupted run left beside the file; else ""."""
        pending = self.file.look(PendingKey(self.file).path).key_id
        active = {key["AccessKeyId"] for key in keys if key["Status"] == "Active"}
        return pending if pending in active else ""

    def lost(self, keys: Collection[Key], *, alone: bool = False) -> Key | None:
        """Return the key whose secret nobody can have, created for a run that was interrupted.

        A key that was ever used, has a description, or may have been created by someone else does
        not count. With `alone`, the caller holds the lock: no other run can be going.
        """
        intent = PendingKey(self.file).intent(alone=alone)
        if intent is None:
            return None
        new = [key for key in keys if key["AccessKeyId"] not in intent.before]
        if len(new) != 1 or not intent.covers(new[0]["AccessKeyId"], new[0]["CreateDate"]):
            return None
        (key,) = new
        if key["Status"] != "Active" or self.last_used(key) is not None:
            return None
        return None if key["AccessKeyId"] in self._descriptions() else key

    def blocked(self, held: Held, keys: Collection[Key]) -> str:
        """Return why no key may be written to the file: it holds someone else's, or something
        unknown. Empty if it may be."""
        if held.empty:
            return ""
        if not held.key_id:
            return f"{self.file.path} {held.problem}, so nothing is put there."
        if held.key_id in ids_of(keys) or (held.owner and held.owner == self.file.owner):
            return ""
        owner = f", of {held.owner}" if held.owner else f", which {self.user} does not have"
        return f"{self.file.path} holds another key, {held.key_id}{owner}."

    def make(self, seen: Sequence[Key], lost: Key | None = None, *, replacing: str = "") -> str:
        """Create a key, deleting the `lost` one if any, and return its id.

        On return it is in the file, and described in IAM as `replacing` another. Raises
        ChangedMeanwhileError if the user's keys are no longer those `seen`, and MisconfiguredError
        if the file holds something to keep.
        """
        pending = PendingKey(self.file)
        with pending.alone():
            keys = self.keys()
            stray = self.lost(keys, alone=True)
            if ids_of(keys) != ids_of(seen) or ids_of([stray]) != ids_of([lost]):
                raise self._changed()
            self.check_file([*keys, {"AccessKeyId": replacing}])
            if stray is not None:
                self.delete(stray["AccessKeyId"])
                keys.remove(stray)
            pending.begin(sorted(ids_of(keys)), now_at_aws(self.aws))
            made = self._create(pending)
        with contextlib.suppress(PostamtError):  # the key is good without a description
            message = f"{_IN_PLACE_OF}{replacing}" if replacing else KEPT
            tags = [{"Key": made, "Value": message}]
            self.aws.write(call("iam", "tag_user", UserName=self.user, Tags=tags))
        return made

    def check_unchanged(self, seen: Sequence[Key]) -> None:
        """Raise ChangedMeanwhileError if the user's keys are no longer those `seen`."""
        if ids_of(self.keys()) != ids_of(seen):
            raise self._changed()

    def _changed(self) -> ChangedMeanwhileError:
        return ChangedMeanwhileError(
            f"The keys of {self.user} were changed by someone else meanwhile.",
            f"Nothing was made. Look again with: {self.place.line.typed('bootstrap plan')}",
        )

    def check_file(self, keys: Collection[Key]) -> None:
        """Raise MisconfiguredError if the file holds something to keep."""
        blocked = self.blocked(self.file.look(), keys)
        if blocked:
            raise MisconfiguredError(blocked, self.place.another)

    def delete(self, key_id: str) -> None:
        """Delete a key and its description."""
        names = {"UserName": self.user}
        described = key_id in self._descriptions()
        self.aws.write(Call("iam", "delete_access_key", {**names, "AccessKeyId": key_id}))
        if described:
            with contextlib.suppress(PostamtError):
                self.aws.write(Call("iam", "untag_user", {**names, "TagKeys": [key_id]}))

    def replaces(self, key_id: str) -> str:
        """Return the id of the key that this one was created to replace; "" if none."""
        message = self._descriptions().get(key_id, "")
        return message.removeprefix(_IN_PLACE_OF) if message.startswith(_IN_PLACE_OF) else ""

    def last_used(self, key: Key) -> dt.datetime | None:
        """Return when someone last signed with the key; None if nobody ever did."""
        return last_used(self.aws, key)

    def _create(self, pending: PendingKey) -> str:
        made = []

        def on_response(answer: Mapping[str, Any]) -> None:
            made.append(str(answer["AccessKey"]["AccessKeyId"]))
            try:
                self.file.on_response(answer)
            except PostamtError:
                self.delete(made[0])  # nobody has its secret, and nobody ever will
                with contextlib.suppress(OSError):
                    pending.drop()
                raise

        wanted = Call(
            "iam",
            "create_access_key",
            {"UserName": self.user},
            retry_on=MISSING + THROTTLED,
            on_response=on_response,
            once=True,
        )
        try:
            self.aws.write(wanted)
        except PostamtError as error:
            if not made and _was_refused(error):
                with contextlib.suppress(OSError):
                    pending.drop()
            raise
        return made[0]

    def _descriptions(self) -> dict[str, str]:
        """Return the descriptions of the user's keys, by key id."""
        answer = self.aws.read("iam", "get_user", missing=MISSING, UserName=self.user)
        return mapped(((answer or {}).get("User") or {}).get("Tags", []))


def last_used(aws: AwsClient, key: Key) -> dt.datetime | None:
    """Return when someone last signed with a key; None if nobody ever did."""
    answer = aws.read("iam", "get_access_key_last_used", AccessKeyId=key["AccessKeyId"])
    used: dt.datetime | None = (answer or {}).get("AccessKeyLastUsed", {}).get("LastUsedDate")
    return used


def now_at_aws(aws: AwsClient) -> dt.datetime:
    """Return AWS's time, because a Raspberry Pi's clock has no battery."""
    answer = aws.read("sts", "get_caller_identity") or {}
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return parsedate_to_datetime(said).astimezone(dt.UTC)
    except ValueError:
        return dt.datetime.now(dt.UTC)


def ids_of(keys: Iterable[Key | None]) -> set[str]:
    return {key["AccessKeyId"] for key in keys if key is not None}


def _was_refused(error: PostamtError) -> bool:
    """Whether AWS refused, rather than gave no answer: only then is there certainly no key."""
    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return False
    return bool(cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) < 500)
