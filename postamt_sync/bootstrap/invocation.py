"""Test invocations of a function: of the index's as SNS would, with a notification of no mail.

They show what no setting does: that Lambda can start the function at all. Its environment is
encrypted with a KMS key that its role may use through a grant. A role that was deleted and created
again under the same name is a different one to KMS, so every invocation fails; a caller that does
not wait for the answer, such as SNS, never learns of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from postamt_sync.aws.error_answer import code_of, message_of
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call
from postamt_sync.bootstrap.resources.lambda_function import BUSY, MISSING
from postamt_sync.bootstrap.stack_part import StackPart
from postamt_sync.errors import PostamtError
from postamt_sync.events import printable
from postamt_sync.log_line import without_markup

TRIAL = {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": '{"Event": "s3:TestEvent"}'}}]}
"""What S3 sends to test its notification target: the function logs it and does nothing else."""

UNREADABLE_ENVIRONMENT = frozenset(
    {
        "KMSAccessDeniedException",
        "KMSDisabledException",
        "KMSInvalidStateException",
        "KMSNotFoundException",
    }
)
"""Lambda could not decrypt the environment (Lambda API Reference, "Invoke")."""

_ROLE = "cannot be assumed by Lambda"
_LONGEST_ANSWER = 65_536
_LONGEST_WORDS = 300


@dataclass(frozen=True, slots=True)
class InvocationTrouble:
    """Why the function does not run.

    `settings`: the cause is something that `apply` can fix, not the code. `grant`: it is the KMS
    grant, which `apply` renews only if it knows which role the function was created with.
    """

    words: str
    settings: bool
    grant: bool = False


@dataclass(frozen=True, slots=True)
class Invocation:
    """A synchronous test invocation; it changes nothing except that the function logs a line.

    `event` defaults to the one for the index function. `amiss` returns what is wrong with an
    answer, "" if it is good.
    """

    stack: StackPart
    aws: AwsClient
    event: Mapping[str, Any] = field(default_factory=lambda: TRIAL)
    amiss: Callable[[bytes], str] = lambda _: ""

    def trouble(self) -> InvocationTrouble | None:
        """Invoke the function; return what is wrong, None if it ran.

        Raises PostamtError if Lambda could not be called.
        """
        answers: list[Mapping[str, Any]] = []
        wanted = Call(
            "lambda",
            "invoke",
            {
                "FunctionName": self.stack.function,
                "InvocationType": "RequestResponse",
                "Payload": json.dumps(self.event).encode(),
            },
            retry_on=BUSY,
            on_response=answers.append,
            # Lambda's answer for a function that it cannot start looks like a temporary error.
            once=True,
        )
        try:
            self.aws.write(wanted)
        except PostamtError as error:
            trouble = _refused(error.__cause__)
            if trouble is None:
                raise
            return trouble
        (answer,) = answers
        with closing(answer["Payload"]) as payload:
            said = payload.read(_LONGEST_ANSWER)
        if answer.get("FunctionError"):
            return InvocationTrouble(f"It failed: {_failure(said)}.", settings=False)
        amiss = self.amiss(said)
        return InvocationTrouble(amiss, settings=False) if amiss else None


def _refused(cause: BaseException | None) -> InvocationTrouble | None:
    if not isinstance(cause, ClientError):
        return None
    code, said = code_of(cause), message_of(cause)
    if code in MISSING:
        return InvocationTrouble("There is no such function.", settings=True)
    if code in UNREADABLE_ENVIRONMENT:
        words = (
            "Lambda cannot decrypt its environment, as after its role was deleted and made again: "
            f"each invocation fails ({code})."
        )
        return InvocationTrouble(words, settings=True, grant=True)
    if _ROLE in said:
        return InvocationTrouble("Lambda cannot assume its role.", settings=True)
    return None


def _failure(said: bytes) -> str:
    """Return the error that the function, or Lambda in its place, reported; made safe to show."""
    try:
        told: Any = json.loads(said)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return "it did not say why"
    words = [str(told[name]) for name in ("errorType", "errorMessage") if told.get(name)]
    words_only = without_markup(": ".join(words))
    return printable(words_only, _LONGEST_WORDS).rstrip(".") or "it did not say why"
