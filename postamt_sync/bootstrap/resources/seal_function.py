"""The Lambda function that seals mail: its code, which contains the owner's keys, and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from postamt_sync.aws.seal_zip import HANDLER
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Conflict, Note, PlanItem
from postamt_sync.bootstrap.resources.invoke_permission import InvokePermission
from postamt_sync.bootstrap.resources.lambda_function import RUNTIME, LambdaFunction, read_function
from postamt_sync.bootstrap.resources.table import MISSING as NO_TABLE
from postamt_sync.bootstrap.seal_stack import SealStack
from postamt_sync.config.command import USUAL_LINE, CommandLine
from postamt_sync.mail.seal_table import KEY
from postamt_sync.seal.key_files import ReadKey, read_key_files
from postamt_sync.seal.owner_keys import OwnerKey, proof_of
from postamt_sync.seal.records import is_proof

SECONDS = 900
"""The longest timeout that Lambda allows."""
MEMORY_MB = 256
INDEX_FUNCTION = "INDEX_FUNCTION"
"""The environment variable that is set if the index is to forget what others wrote of sealed mail:
the name of its function."""

Code = Callable[[Sequence[OwnerKey]], bytes]


@dataclass(frozen=True, slots=True)
class SealFunctionResource:
    """The function. `code` returns the zip for the given keys; it is called for a plan, but not to
    destroy the function."""

    stack: SealStack
    aws: AwsClient
    code: Code = field(repr=False)
    line: CommandLine = USUAL_LINE

    @property
    def title(self) -> str:
        return f"function {self.stack.function}"

    def plan(self) -> Iterator[PlanItem]:
        now = datetime.now(UTC)
        read = read_key_files(self.stack.key_files, now)
        found = read_function(self.aws, self.stack.function)
        there = found is not None
        refused = [each for each in read if each.refused is not None]
        for each in refused:
            yield _said(each, there=there)
        if refused:
            return
        keys = [each.key for each in read if each.key is not None]
        if found is None:
            yield from (Note(text) for text in self._words(keys))
        elif self.stack.strip and not _strips(found):
            yield Note(
                "the index forgets what it has of mail that was sealed before too, some thousands "
                "in each run; point-in-time recovery remembers it for 35 days more."
            )
        if (yield from self._function(self.code(keys)).plan()):
            yield from self._permission.plan()
        for key in keys:
            if key.ends_soon(now):
                yield Note(
                    f"key {key.fingerprint} expires on {key.expires:%Y-%m-%d}; nothing is sealed "
                    "after that, and mail stays plain. Extend it, export it, and apply."
                )
        if not self._is_proved(keys):
            yield Note(
                "nothing is sealed until you have shown that you can open what is sealed for "
                f"these keys: {self.line.typed('seal prove')}"
            )

    def destroy(self) -> Iterator[PlanItem]:
        yield from self._function(b"").destroy()

    def _function(self, code: bytes) -> LambdaFunction:
        return LambdaFunction(
            self.stack,
            self.aws,
            "postamt-sync: seals mail with the owner's keys",
            self._settings,
            code,
            lambda: [self._permission.permit()],
        )

    @property
    def _permission(self) -> InvokePermission:
        stack = self.stack
        return InvokePermission(
            *(self.aws, stack.function, "PostamtSchedule", "events.amazonaws.com"),
            stack.schedule_arn,
            "the schedule",
        )

    @property
    def _settings(self) -> dict[str, Any]:
        stack = self.stack
        return {
            "Runtime": RUNTIME,
            "Handler": HANDLER,
            "Role": stack.role_arn,
            "Timeout": SECONDS,
            "MemorySize": MEMORY_MB,
            "Environment": {
                "Variables": {
                    "BUCKET": stack.bucket,
                    "PREFIX": stack.prefix,
                    "SEALED_PREFIX": stack.sealed_prefix,
                    "TABLE": stack.table,
                    "AFTER_DAYS": str(stack.after),
                    **({INDEX_FUNCTION: stack.index_function} if stack.strip else {}),
                }
            },
        }

    def is_there(self) -> bool:
        return read_function(self.aws, self.stack.function) is not None

    def _is_proved(self, keys: Sequence[OwnerKey]) -> bool:
        key = {KEY: {"S": proof_of(keys)}}
        answer = self.aws.read(
            "dynamodb", "get_item", missing=NO_TABLE, TableName=self.stack.table, Key=key
        )
        return is_proof((answer or {}).get("Item", {}))

    def _words(self, keys: Sequence[OwnerKey]) -> Iterator[str]:
        """Explain, once before it begins, what sealing does and what it cannot do."""
        stack = self.stack
        who = ", ".join(key.name or key.fingerprint for key in keys)
        yield (
            f"Mail older than {stack.after} days that has come home is encrypted for {who} and "
            f"kept below {stack.sealed_prefix}; its plain copy expires, and can be brought back "
            f"as a version for {stack.undo} days more. Plain at most: {stack.longest_plain} days, "
            "while the box is up."
        )
        if len(keys) == 1:
            yield "There is one key: lose it, and all sealed mail is lost. Better name two."
        yield (
            "What it cannot do: AWS, the index function and this function see plain text while "
            "there is some, and whoever has the account sees new mail. The webmail lists sealed "
            "mail and cannot open it. What is at home is not encrypted by this."
        )
        if stack.strip:
            yield (
                "The index forgets subject, sender and other people's addresses of sealed mail; "
                "point-in-time recovery remembers them for 35 days more."
            )
        if stack.kms:
            yield (
                "What SES encrypts with a key of KMS is not sealed: it stays as it is, and opens "
                "with that key alone."
            )
        yield (
            "Plain copies that were moved to IA or Glacier IR end early: AWS charges at least 30 "
            "and 90 days of each, and the reading (bootstrap cost --sealed)."
        )


def _strips(function: dict[str, Any]) -> bool:
    """Whether the existing function makes the index forget."""
    return INDEX_FUNCTION in function["Configuration"].get("Environment", {}).get("Variables", {})


def _said(each: ReadKey, *, there: bool) -> PlanItem:
    """Return what to say of a bad key. If the function exists it is left alone, and the rest of the
    plan is carried out; a new one is not created with such a key."""
    assert each.refused is not None
    problem = f"{each.shown}: {each.refused.problem}"
    if there:
        return Note(
            f"{problem} The function stays as it is; with a key that has ended it seals nothing, "
            f"and mail stays plain. {each.refused.hint}"
        )
    return Conflict(f"Mail cannot be sealed with {problem}", each.refused.hint)
