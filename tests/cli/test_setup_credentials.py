"""What a person pastes as credentials, from wherever AWS has shown them."""

from __future__ import annotations

import pytest

from postamt_sync.cli.setup_credentials import read_pasted


@pytest.mark.parametrize(
    "line",
    [
        "export AWS_ACCESS_KEY_ID=ASIAX",
        'export AWS_ACCESS_KEY_ID="ASIAX"',
        "  AWS_ACCESS_KEY_ID='ASIAX'  ",
        "aws_access_key_id = ASIAX",
        '$Env:AWS_ACCESS_KEY_ID="ASIAX"',
        "SET AWS_ACCESS_KEY_ID=ASIAX",
    ],
)
def test_a_line_is_understood_in_every_form_in_which_aws_shows_it(line: str) -> None:
    assert read_pasted(line) == {"AWS_ACCESS_KEY_ID": "ASIAX"}


def test_several_in_one_line_and_signs_of_base64() -> None:
    line = "export AWS_SECRET_ACCESS_KEY=a/b+c= AWS_SESSION_TOKEN=IQoJ//=="
    assert read_pasted(line) == {
        "AWS_SECRET_ACCESS_KEY": "a/b+c=",
        "AWS_SESSION_TOKEN": "IQoJ//==",
    }


@pytest.mark.parametrize(
    "line", ["", "nonsense", "[default]", "MY_AWS_KEY=x", "AWS_REGION", "\x1b[A"]
)
def test_what_sets_nothing_is_nothing(line: str) -> None:
    assert read_pasted(line) == {}
