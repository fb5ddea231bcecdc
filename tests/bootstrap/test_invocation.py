"""The index function is invoked, and what only that tells is told."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.invocation import TRIAL, Invocation, InvocationTrouble
from postamt_sync.doctor.account import AwsAccount
from postamt_sync.doctor.check import findings_of
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.doctor.invocation import InvocationCheck
from postamt_sync.errors import PostamtError
from postamt_sync.index.function import Indexer
from tests.doubles.account import stack
from tests.support.aws_session import REGION, aws_session

STACK = stack()


class Lambda:
    """Answers each invocation with the next of its answers, and notes what it was asked."""

    def __init__(self, *answers: tuple[int, Mapping[str, Any]]) -> None:
        self.asked: list[dict[str, Any]] = []
        self._answers = list(answers)
        self.aws = AwsClient(
            aws_session(), REGION, endpoint=lambda _: "http://127.0.0.1:9", sleep=lambda _: None
        )
        events = self.aws.client("lambda", once=True).meta.events
        events.register("provide-client-params.lambda.Invoke", self._note)
        events.register("before-call.lambda.Invoke", self._answer)

    def trouble(self) -> InvocationTrouble | None:
        return Invocation(STACK, self.aws).trouble()

    def findings(self) -> list[Finding]:
        account = AwsAccount(lambda: (STACK, self.aws))
        return list(findings_of(InvocationCheck(account, "Mend it.")))

    def _note(self, params: dict[str, Any], **_: Any) -> None:
        self.asked.append(params)

    def _answer(self, **_: Any) -> Any:
        status, parsed = self._answers.pop(0)
        return AWSResponse("", status, {}, None), {
            "ResponseMetadata": {"HTTPStatusCode": status},
            **parsed,
        }


def ran(said: bytes = b"null", **more: Any) -> tuple[int, Mapping[str, Any]]:
    return 200, {"StatusCode": 200, "Payload": io.BytesIO(said), **more}


def failed(said: bytes) -> tuple[int, Mapping[str, Any]]:
    return ran(said, FunctionError="Unhandled")


def refused(code: str, said: str = "", status: int = 400) -> tuple[int, Mapping[str, Any]]:
    return status, {"Error": {"Code": code, "Message": said}}


def test_a_function_that_runs_is_well() -> None:
    service = Lambda(ran())
    assert [f.outcome for f in service.findings()] == [Severity.OK]
    (asked,) = service.asked
    assert (asked["FunctionName"], asked["InvocationType"]) == ("postamt-index", "RequestResponse")
    assert json.loads(asked["Payload"]) == TRIAL


def test_the_trial_is_no_mail() -> None:
    said: list[str] = []
    nobody: Any = None
    indexer = Indexer("t", "b", "p/", nobody, nobody, lambda _, event, __: said.append(event))
    indexer.take(TRIAL["Records"][0]["Sns"]["Message"])  # type: ignore[index]
    assert said == ["no mail"]


@pytest.mark.parametrize(
    "code",
    [
        "KMSAccessDeniedException",
        "KMSDisabledException",
        "KMSInvalidStateException",
        "KMSNotFoundException",
    ],
)
def test_a_grant_that_is_dead_is_told_at_once_and_as_what_it_is(code: str) -> None:
    """Lambda answers 502, which would pass for a fault of the moment, to be tried again."""
    service = Lambda(refused(code, "Lambda was unable to decrypt the environment.", status=502))
    (found,) = service.findings()
    assert found.outcome is Severity.FAILURE
    assert found.remedy.startswith("Mend it")
    assert "aws lambda delete-function --function-name" in found.remedy
    assert "cannot decrypt its environment" in found.words
    assert len(service.asked) == 1


def test_a_role_that_nobody_may_take_on() -> None:
    said = "The role defined for the function cannot be assumed by Lambda."
    (found,) = Lambda(refused("AccessDeniedException", said, 403)).findings()
    assert (found.words, found.remedy) == (
        "postamt-index: Lambda cannot assume its role.",
        "Mend it.",
    )


def test_a_function_that_is_not_there() -> None:
    (found,) = Lambda(refused("ResourceNotFoundException", status=404)).findings()
    assert found.words == "postamt-index: There is no such function."


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            b'{"errorMessage": "No module named \'x\'", "errorType": "Runtime.ImportModuleError"}',
            "It failed: Runtime.ImportModuleError: No module named 'x'.",
        ),
        (b'{"errorMessage": "Task timed out."}', "It failed: Task timed out."),
        (b'{"errorMessage": "\\u001b[31m\\n"}', "It failed: \\x1b[31m\\n."),
        (b"[]", "It failed: it did not say why."),
        (b"<html>", "It failed: it did not say why."),
        (b"[" * 60_000, "It failed: it did not say why."),
        (b"\xff", "It failed: it did not say why."),
    ],
)
def test_a_function_that_fails_says_why_and_where_more_is(said: bytes, words: str) -> None:
    (found,) = Lambda(failed(said)).findings()
    assert found.words == f"postamt-index: {words}"
    assert found.remedy == "See its log: aws logs tail /aws/lambda/postamt-index --region eu-west-1"


def test_one_that_is_just_being_made_is_waited_for() -> None:
    pending = refused("ResourceConflictException", "The operation cannot be performed.", 409)
    service = Lambda(pending, pending, ran())
    assert service.trouble() is None
    assert len(service.asked) == 3


@pytest.mark.parametrize("code", ["AccessDeniedException", "ServiceException"])
def test_whoever_may_not_ask_learns_nothing_of_the_function(code: str) -> None:
    with pytest.raises(PostamtError):
        Lambda(refused(code, "User: x is not authorized", 403)).trouble()
