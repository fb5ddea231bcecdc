"""The webmail's Lambda function: its code and settings. `http_api.py` decides who may call it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from postamt_sync.aws.webmail_zip import HANDLER
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import PlanItem
from postamt_sync.bootstrap.resources.http_api import LONGEST_MS, HttpApiResource
from postamt_sync.bootstrap.resources.lambda_function import RUNTIME, LambdaFunction
from postamt_sync.bootstrap.webmail_stack import DAY_PREFIX, WebmailStack
from postamt_sync.webmail.function_settings import OFF, ON, FunctionSettings

MEMORY_MB = 1_024
"""Reading a mail of 40 MB takes 220 MB; and Lambda's share of the processor grows with memory."""


@dataclass(frozen=True, slots=True)
class WebmailFunctionResource:
    """The function. `code` returns the zip; it is called for a plan, but not to destroy the
    function."""

    stack: WebmailStack
    aws: AwsClient
    api: HttpApiResource
    code: Callable[[], bytes] = field(repr=False)

    @property
    def title(self) -> str:
        return f"function {self.stack.function}"

    def plan(self) -> Iterator[PlanItem]:
        yield from self._function(self.code()).plan()

    def destroy(self) -> Iterator[PlanItem]:
        yield from self._function(b"").destroy()

    def _function(self, code: bytes) -> LambdaFunction:
        return LambdaFunction(
            self.stack,
            self.aws,
            "postamt-sync: the webmail",
            self._settings,
            code,
            self.api.permit_anew,
        )

    @property
    def _settings(self) -> dict[str, Any]:
        return {
            "Runtime": RUNTIME,
            "Handler": HANDLER,
            "Role": self.stack.role_arn,
            "Timeout": LONGEST_MS // 1_000,
            "MemorySize": MEMORY_MB,
            "Environment": {"Variables": function_settings(self.stack).environment},
        }


def function_settings(stack: WebmailStack) -> FunctionSettings:
    """Return the function's settings, which it gets as environment variables."""
    return FunctionSettings(
        host=stack.host,
        table=stack.table,
        index=stack.index,
        lists=stack.lists,
        bucket=stack.mail_bucket,
        prefix=stack.prefix,
        recent_prefix=stack.recent_prefix,
        day_bucket=stack.site_bucket,
        day_prefix=DAY_PREFIX,
        session_keys=stack.session_keys,
        device_keys=stack.device_keys,
        origin_secret=stack.origin_secret,
        kms=ON if stack.kms else OFF,
        sealed_prefix=stack.sealed_prefix or OFF,
    )
