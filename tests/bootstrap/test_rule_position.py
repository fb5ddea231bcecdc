"""What a rule before ours may do without keeping mail from us."""

from __future__ import annotations

import pytest

from postamt_sync.bootstrap.rule_position import FIRST, LAST, Position, read_position, swallowing
from postamt_sync.errors import UsageError

FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:theirs"


@pytest.mark.parametrize(
    ("way", "swallows"), [("RequestResponse", True), ("Event", False)], ids=["asked", "told"]
)
def test_a_lambda_function_that_is_asked_may_stop_mail(way: str, *, swallows: bool) -> None:
    action = {"LambdaAction": {"FunctionArn": FUNCTION, "InvocationType": way}}
    rule = {"Name": "theirs", "Enabled": True, "Recipients": [], "Actions": [action]}
    found = swallowing([rule], ["example.com"])
    assert (found is not None) == swallows
    if found is not None:
        assert "asks a Lambda function that may stop mail" in found.message


def test_a_position_is_first_last_or_after_a_rule() -> None:
    assert read_position("first") == FIRST
    assert read_position("last") == LAST
    assert read_position("after:spam filter") == Position(after="spam filter")


@pytest.mark.parametrize("text", ["", "after:", "before:one", "First"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"Use first, last or after:RULE\."):
        read_position(text)
