"""A Lambda function, whoever calls it: its code, settings, and the role it was created with."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, PlanItem, call
from postamt_sync.bootstrap.policy_document import same
from postamt_sync.bootstrap.stack_part import StackPart
from postamt_sync.bootstrap.tags import NOT_OURS, is_ours, stranger

MISSING = ("ResourceNotFoundException",)
BUSY = ("ResourceConflictException", "TooManyRequestsException")
"""Errors while Lambda is still working on the last change."""

NO_ROLE = ("NoSuchEntity",)

ROLE_TAG = "postamt:role"
"""The function's tag with the id that IAM gave the role which the function was created with.

Lambda encrypts the function's environment and lets the role decrypt it through a KMS grant for this
id only. A role that is deleted and created again has the same ARN but another id: every invocation
then fails, and only creating the function again makes a new grant.
"""

RUNTIME = "python3.13"
ARCHITECTURE = "arm64"
"""A fifth cheaper than x86; the compiled packages in the zip are built for it."""

NAMES = {
    "Runtime": "runtime",
    "Handler": "handler",
    "Role": "role",
    "Timeout": "time limit, in seconds",
    "MemorySize": "memory, in MB",
    "Environment": "environment",
    "DeadLetterConfig": "dead letters",
}


def read_function(aws: AwsClient, name: str) -> dict[str, Any] | None:
    """Return a function's configuration, code location and tags; None if there is none."""
    return aws.read("lambda", "get_function", missing=MISSING, FunctionName=name)


@dataclass(frozen=True, slots=True)
class LambdaFunction:
    """The function. `code` is the zip; unchanged code is not uploaded again. The keys of `settings`
    are those of NAMES.

    `permit` returns the calls that let others call a function that has just been created.
    """

    stack: StackPart
    aws: AwsClient
    description: str
    settings: Mapping[str, Any]
    code: bytes = field(repr=False)
    permit: Callable[[], Sequence[Call]]

    def plan(self) -> Generator[PlanItem, None, bool]:
        """Yield the differences; return whether the function exists, is ours, and is kept."""
        found = read_function(self.aws, self.stack.function)
        if found is None:
            yield Change("create", [self._create(), *self.permit()])
            return False
        conflict = stranger(found.get("Tags", {}), self.stack)
        if conflict is not None:
            yield conflict
            return False
        actual = found["Configuration"]
        role = self._role()
        noted = found.get("Tags", {}).get(ROLE_TAG, "")
        if role is None or _was_made_with_another(role, noted, actual.get("LastModified", "")):
            yield Change(
                "its role was created again and cannot decrypt its settings: create it again too",
                self._remake(),
            )
            return False
        if not noted:
            yield Change("note which role it was created with", [self._note(role)])
        if actual.get("CodeSha256") != _sha256(self.code):
            update = self.patient("update_function_code", ZipFile=self.code)
            yield Change("code: was changed, upload", [update])
        different = {
            name: value
            for name, value in self.settings.items()
            if not same(actual.get(name), value)
        }
        if different:
            message = ", ".join(NAMES[name] for name in different)
            update = self.patient("update_function_configuration", **different)
            yield Change(f"settings ({message}): was changed, restore it", [update])
        return True

    def destroy(self) -> Iterator[PlanItem]:
        found = read_function(self.aws, self.stack.function)
        if found is None:
            return
        if is_ours(found.get("Tags", {}), self.stack):
            yield Change(
                "delete", [call("lambda", "delete_function", FunctionName=self.stack.function)]
            )
        else:
            yield NOT_OURS

    def patient(self, operation: str, **parameters: Any) -> Call:
        """Return a call that is retried until Lambda has finished the last change."""
        named = {"FunctionName": self.stack.function, **parameters}
        return Call("lambda", operation, named, retry_on=BUSY)

    def _role(self) -> dict[str, Any] | None:
        answer = self.aws.read("iam", "get_role", missing=NO_ROLE, RoleName=self.stack.role)
        return None if answer is None else answer["Role"]

    def _tags(self) -> dict[str, Any]:
        """Return the tags; without the role's id while IAM does not show the role yet."""
        role = self._role()
        return {"Tags": {**self.stack.tags, **({ROLE_TAG: role["RoleId"]} if role else {})}}

    def _note(self, role: dict[str, Any]) -> Call:
        noted = {ROLE_TAG: role["RoleId"]}
        return call("lambda", "tag_resource", Resource=self.stack.function_arn, Tags=noted)

    def _remake(self) -> list[Call]:
        delete = call("lambda", "delete_function", FunctionName=self.stack.function)
        create = self._create()
        # Lambda may still be working on the deletion.
        patient = replace(create, retry_on=(*create.retry_on, *BUSY))
        return [delete, patient, *self.permit()]

    def _create(self) -> Call:
        return Call(
            "lambda",
            "create_function",
            {
                "FunctionName": self.stack.function,
                "Description": self.description,
                "Architectures": [ARCHITECTURE],
                "Code": {"ZipFile": self.code},
                "Tags": self.stack.tags,
                **self.settings,
            },
            # Lambda does not accept a role that IAM has only just created.
            retry_on=("InvalidParameterValueException",),
            late=self._tags,
        )


def _was_made_with_another(role: Mapping[str, Any], noted: str, last_modified: str) -> bool:
    """Whether the function's grant is for an earlier role. Without the tag, only the times tell."""
    if noted:
        return bool(noted != role["RoleId"])
    try:
        modified = dt.datetime.fromisoformat(last_modified)
    except ValueError:
        return False
    if modified.tzinfo is None:
        modified = modified.replace(tzinfo=dt.UTC)
    return bool(role["CreateDate"] > modified)


def _sha256(code: bytes) -> str:
    return base64.b64encode(hashlib.sha256(code).digest()).decode()
