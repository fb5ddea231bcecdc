"""A user's access key, and the file at home that it lies in."""

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
"""What a key is described as when its secret is in a file. IAM's console does the same, with what
a person types there: a tag of the user, named like the key's id. IAM takes no comma in it."""

Key = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AccessKeyResource:
    """The key of a user who has one as soon as IAM lists an active one: where its secret went is
    the person's business, and none is ever replaced because a file is not here."""

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
                message = f"{waiting} was told to a run that was cut off: put it into"
                yield Change(f"{message} {self.file.path}", act=lambda: settle(self.file.path))
            else:
                message = f"create; the new one is put into {self.file.path}"
                if lost is not None:
                    message = (
                        f"{lost['AccessKeyId']} was made for a run that was cut off before "
                        "anybody was told its secret: delete it, and " + message
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
        """Return the user's keys, the oldest first; none where there is no such user."""
        keys: list[Key] = self.aws.pages(
            "iam", "list_access_keys", "AccessKeyMetadata", missing=MISSING, UserName=self.user
        )
        return sorted(keys, key=lambda key: key["CreateDate"])

    def where(self, keys: Collection[Key]) -> tuple[str, Path] | None:
        """Return one of these keys and the file that has it: the one in force, else one that is
        remembered. Nothing but showing it may depend on this."""
        hints = self.place.hints.files()
        remembered = (hints[key] for key in sorted(ids_of(keys)) if key in hints)
        for path in (self.file.path, *remembered):
            found = self.file.look(path).key_id
            if found in ids_of(keys):
                return found, path
        return None

    def waiting(self, keys: Collection[Key]) -> str:
        """Return the id of a key that lies beside the file, whole, because a run was cut off."""
        pending = self.file.look(PendingKey(self.file).path).key_id
        active = {key["AccessKeyId"] for key in keys if key["Status"] == "Active"}
        return pending if pending in active else ""

    def lost(self, keys: Collection[Key], *, alone: bool = False) -> Key | None:
        """Return the key of which nobody can have the secret: made for a run that was cut off.

        One that was ever used, that is described, or that may have been made by someone else, is
        none. `alone` says that no other run can be at it.
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
        """Return why no key may be written into the file: there is one in it that is not this
        user's, or nobody knows what. Empty where it may."""
        if held.empty:
            return ""
        if not held.key_id:
            return f"{self.file.path} {held.problem}, so nothing is put there."
        if held.key_id in ids_of(keys) or (held.owner and held.owner == self.file.owner):
            return ""
        owner = f", of {held.owner}" if held.owner else f", which {self.user} does not have"
        return f"{self.file.path} holds another key, {held.key_id}{owner}."

    def make(self, seen: Sequence[Key], lost: Key | None = None, *, replacing: str = "") -> str:
        """Make a key, in place of a `lost` one if there is one, and return its id.

        It is in the file when this returns, and described in IAM as `replacing` another. Raises
        ChangedMeanwhileError where the user's keys are not those `seen` any more, and
        MisconfiguredError where the file holds what must stay there.
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
        """Raise ChangedMeanwhileError where the user's keys are not those `seen` any more."""
        if ids_of(self.keys()) != ids_of(seen):
            raise self._changed()

    def _changed(self) -> ChangedMeanwhileError:
        return ChangedMeanwhileError(
            f"The keys of {self.user} were changed by someone else meanwhile.",
            f"Nothing was made. Look again with: {self.place.line.typed('bootstrap plan')}",
        )

    def check_file(self, keys: Collection[Key]) -> None:
        """Raise MisconfiguredError where the file holds what must stay there."""
        blocked = self.blocked(self.file.look(), keys)
        if blocked:
            raise MisconfiguredError(blocked, self.place.another)

    def delete(self, key_id: str) -> None:
        """Delete a key, and what describes it."""
        names = {"UserName": self.user}
        described = key_id in self._descriptions()
        self.aws.write(Call("iam", "delete_access_key", {**names, "AccessKeyId": key_id}))
        if described:
            with contextlib.suppress(PostamtError):
                self.aws.write(Call("iam", "untag_user", {**names, "TagKeys": [key_id]}))

    def replaces(self, key_id: str) -> str:
        """Return the id of the key that this one was made in place of, if any."""
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
                self.delete(made[0])  # nobody was told its secret, and nobody will be
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
        """Return what the user's keys are described as, by their ids."""
        answer = self.aws.read("iam", "get_user", missing=MISSING, UserName=self.user)
        return mapped(((answer or {}).get("User") or {}).get("Tags", []))


def last_used(aws: AwsClient, key: Key) -> dt.datetime | None:
    """Return when someone last signed with a key; None if nobody ever did."""
    answer = aws.read("iam", "get_access_key_last_used", AccessKeyId=key["AccessKeyId"])
    used: dt.datetime | None = (answer or {}).get("AccessKeyLastUsed", {}).get("LastUsedDate")
    return used


def now_at_aws(aws: AwsClient) -> dt.datetime:
    """Return AWS's time: a Pi has no clock battery."""
    answer = aws.read("sts", "get_caller_identity") or {}
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return parsedate_to_datetime(said).astimezone(dt.UTC)
    except ValueError:
        return dt.datetime.now(dt.UTC)


def ids_of(keys: Iterable[Key | None]) -> set[str]:
    return {key["AccessKeyId"] for key in keys if key is not None}


def _was_refused(error: PostamtError) -> bool:
    """Tell whether AWS has said no, rather than nothing: then there is no key."""
    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return False
    return bool(cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) < 500)
