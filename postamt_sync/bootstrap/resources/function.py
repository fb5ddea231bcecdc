"""The Lambda function that keeps the index: code, settings, who may call it, where it logs."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Note, PlanItem, call
from postamt_sync.bootstrap.policy_document import Statement, same, statements
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.tags import is_ours, stranger

MISSING = ("ResourceNotFoundException",)
BUSY = ("ResourceConflictException", "TooManyRequestsException")
"""What Lambda says while it still works on the last change."""

NO_ROLE = ("NoSuchEntity",)

ROLE_TAG = "postamt:role"
"""The tag of the function that says which role it was made with: the id that IAM gave it.

Lambda encrypts the function's environment, and lets the role decrypt it by a grant of KMS that is
for this id alone. A role that is deleted and made again has the same ARN and another id: every
invocation fails then, and only a function that is made again gets another grant.
"""

SID = "PostamtTopicInvoke"
ARCHITECTURE = "arm64"
"""A fifth cheaper than x86, and the code is Python alone."""

NAMES = {
    "Runtime": "runtime",
    "Handler": "handler",
    "Role": "role",
    "Timeout": "time limit, in seconds",
    "MemorySize": "memory, in MB",
    "Environment": "environment",
    "DeadLetterConfig": "dead letters",
}


DAYS = 30


@dataclass(frozen=True, slots=True)
class FunctionResource:
    """`code` is the zip; unchanged code is not uploaded again."""

    stack: Stack
    aws: AwsClient
    code: bytes = field(repr=False)

    @property
    def title(self) -> str:
        return f"function {self.stack.function}"

    def plan(self) -> Iterator[PlanItem]:
        found = self._get()
        if found is None:
            yield Change("create", [self._create(), self._permit()])
            return
        conflict = stranger(found.get("Tags", {}), self.stack)
        if conflict is not None:
            yield conflict
            return
        actual = found["Configuration"]
        role = self._role()
        noted = found.get("Tags", {}).get(ROLE_TAG, "")
        if role is None or _was_made_with_another(role, noted, actual.get("LastModified", "")):
            yield Change(
                "its role was made anew and cannot read its settings: make it anew too",
                self._remake(),
            )
            return
        if not noted:
            yield Change("note which role it was made with", [self._note(role)])
        if actual.get("CodeSha256") != _sha256(self.code):
            update = self._patient("update_function_code", ZipFile=self.code)
            yield Change("code: was changed, upload", [update])
        different = {
            name: value
            for name, value in self._settings.items()
            if not same(actual.get(name), value)
        }
        if different:
            message = ", ".join(NAMES[name] for name in different)
            update = self._patient("update_function_configuration", **different)
            yield Change(f"settings ({message}): was changed, put right", [update])
        yield from self._permission()

    def destroy(self) -> Iterator[PlanItem]:
        found = self._get()
        if found is None:
            return
        if is_ours(found.get("Tags", {}), self.stack):
            yield Change(
                "delete", [call("lambda", "delete_function", FunctionName=self.stack.function)]
            )
        else:
            yield Note("kept: this stack did not make it")

    @property
    def _settings(self) -> dict[str, Any]:
        stack = self.stack
        return {
            "Runtime": "python3.13",
            "Handler": "postamt_sync.index.function.handle",
            "Role": stack.role_arn,
            "Timeout": 30,
            "MemorySize": 256,
            "Environment": {
                "Variables": {
                    "TABLE": stack.table,
                    "BUCKET": stack.bucket,
                    "PREFIX": stack.prefix,
                    **({"LISTS": stack.lists} if stack.handed else {}),
                }
            },
            "DeadLetterConfig": {"TargetArn": stack.queue_arn(stack.index_dead_letter_queue)},
        }

    def _permission(self) -> Iterator[PlanItem]:
        answer = self.aws.read(
            "lambda", "get_policy", missing=MISSING, FunctionName=self.stack.function
        )
        document = json.loads(answer["Policy"]) if answer else None
        ours = next((s for s in statements(document) if s.get("Sid") == SID), None)
        if ours is None:
            yield Change("the topic may call it: create", [self._permit()])
        elif not self._lets_the_topic(ours):
            name = self.stack.function
            remove = call("lambda", "remove_permission", FunctionName=name, StatementId=SID)
            yield Change("the topic may call it: was changed, put right", [remove, self._permit()])

    def _lets_the_topic(self, statement: Statement) -> bool:
        """Tell whether our topic may call, and nobody else's; Lambda chooses the operators."""
        sources = {
            key.lower(): value
            for keys in statement.get("Condition", {}).values()
            for key, value in keys.items()
        }
        return (
            statement.get("Effect") == "Allow"
            and same(statement.get("Principal"), {"Service": "sns.amazonaws.com"})
            and same(sources.get("aws:sourcearn"), self.stack.topic_arn)
        )

    def _get(self) -> dict[str, Any] | None:
        name = self.stack.function
        return self.aws.read("lambda", "get_function", missing=MISSING, FunctionName=name)

    def _role(self) -> dict[str, Any] | None:
        answer = self.aws.read("iam", "get_role", missing=NO_ROLE, RoleName=self.stack.role)
        return None if answer is None else answer["Role"]

    def _tags(self) -> dict[str, Any]:
        """Return the tags; without the role's id while IAM has not heard of it everywhere."""
        role = self._role()
        return {"Tags": {**self.stack.tags, **({ROLE_TAG: role["RoleId"]} if role else {})}}

    def _note(self, role: dict[str, Any]) -> Call:
        noted = {ROLE_TAG: role["RoleId"]}
        return call("lambda", "tag_resource", Resource=self.stack.function_arn, Tags=noted)

    def _remake(self) -> list[Call]:
        delete = call("lambda", "delete_function", FunctionName=self.stack.function)
        create = self._create()
        # Lambda may still be at the deletion.
        patient = replace(create, retry_on=(*create.retry_on, *BUSY))
        return [delete, patient, self._permit()]

    def _create(self) -> Call:
        return Call(
            "lambda",
            "create_function",
            {
                "FunctionName": self.stack.function,
                "Description": "postamt-sync: keeps the index of mail",
                "Architectures": [ARCHITECTURE],
                "Code": {"ZipFile": self.code},
                "Tags": self.stack.tags,
                **self._settings,
            },
            # Lambda cannot take a role that IAM made a moment ago.
            retry_on=("InvalidParameterValueException",),
            late=self._tags,
        )

    def _permit(self) -> Call:
        return self._patient(
            "add_permission",
            StatementId=SID,
            Action="lambda:InvokeFunction",
            Principal="sns.amazonaws.com",
            SourceArn=self.stack.topic_arn,
        )

    def _patient(self, operation: str, **parameters: Any) -> Call:
        named = {"FunctionName": self.stack.function, **parameters}
        return Call("lambda", operation, named, retry_on=BUSY)


def _was_made_with_another(role: Mapping[str, Any], noted: str, last_modified: str) -> bool:
    """Tell whether a function has another role's grant; one without a note by the time alone."""
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


@dataclass(frozen=True, slots=True)
class LogGroupResource:
    """Ours by its exact name, which only our function writes to."""

    stack: Stack
    aws: AwsClient

    @property
    def title(self) -> str:
        return f"log group {self.stack.log_group}"

    def plan(self) -> Iterator[PlanItem]:
        group = self._find()
        if group is None:
            made = call(
                "logs",
                "create_log_group",
                logGroupName=self.stack.log_group,
                tags=self.stack.tags,
            )
            yield Change("create", [made, self._keep()])
            return
        kept = group.get("retentionInDays")
        if kept != DAYS:
            yield Change(f"kept for: {kept or 'ever'} → {DAYS} days", [self._keep()])

    def destroy(self) -> Iterator[PlanItem]:
        if self._find() is not None:
            yield Change(
                "delete", [call("logs", "delete_log_group", logGroupName=self.stack.log_group)]
            )

    def _find(self) -> dict[str, Any] | None:
        name = self.stack.log_group
        groups = self.aws.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name)
        return next((group for group in groups if group["logGroupName"] == name), None)

    def _keep(self) -> Call:
        return Call(
            "logs",
            "put_retention_policy",
            {"logGroupName": self.stack.log_group, "retentionInDays": DAYS},
            retry_on=("ResourceNotFoundException", "OperationAbortedException"),
        )
