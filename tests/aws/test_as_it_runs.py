"""Hints fit the way we run."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from postamt_sync.aws.as_it_runs import as_it_runs, is_service
from postamt_sync.aws.meanings import GIVE_CREDENTIALS, MEANINGS, Asker
from tests.support.syntax import nodes

PACKAGE = Path(__file__).parents[2] / "postamt_sync"
SERVICE = {"CREDENTIALS_DIRECTORY": "/run/credentials/postamt-sync.service"}
FACTS = {"what": "{keys}", "name": "n", "code": "c", "said": "{said}"}


@pytest.mark.parametrize("meaning", MEANINGS[Asker.DAEMON].values(), ids=lambda m: m.problem[:30])
def test_a_hint_names_the_places_of_a_service_or_those_of_a_user(meaning: object) -> None:
    hint = str(getattr(meaning, "hint", ""))
    as_service, by_hand = as_it_runs(hint, SERVICE, **FACTS), as_it_runs(hint, {}, **FACTS)
    assert ("/etc/postamt-sync/credentials" in as_service) is ("~/.aws/credentials" in by_hand)
    assert ("systemctl edit postamt-sync" in as_service) is ("~/.aws/config" in by_hand)
    assert ("systemctl restart" in as_service) is ("credentials" in by_hand and "~" in by_hand)


def test_new_keys_go_where_they_are_read() -> None:
    assert as_it_runs(GIVE_CREDENTIALS, SERVICE) == (
        "Put them into /etc/postamt-sync/credentials, and restart it: "
        "sudo systemctl restart postamt-sync."
    )
    assert as_it_runs(GIVE_CREDENTIALS, {}) == (
        "Put them into ~/.aws/credentials of the user we run as, or into the service's environment."
    )


def test_what_a_stranger_said_is_filled_in_once() -> None:
    assert as_it_runs("AWS says: {said}", {}, said="{keys} {") == "AWS says: {keys} {"


def test_no_hint_names_a_place_that_a_service_does_not_read() -> None:
    named = {
        path.relative_to(PACKAGE).as_posix()
        for room in ("app", "aws", "bucket", "delivery", "index", "intake")
        for path in (PACKAGE / room).rglob("*.py")
        for node in nodes(path)
        if isinstance(node, ast.Constant) and str(node.value).count("~/.aws/")
        if not str(node.value).rstrip().count("\n")  # a docstring
    }
    assert named == {"aws/as_it_runs.py"}


@pytest.mark.parametrize(
    ("environ", "service"),
    [
        (SERVICE, True),
        (
            {"AWS_SHARED_CREDENTIALS_FILE": "/run/credentials/postamt-sync.service/credentials"},
            True,
        ),
        ({"SYSTEMD_EXEC_PID": str(os.getpid())}, True),
        ({"SYSTEMD_EXEC_PID": "1"}, False),
        ({"INVOCATION_ID": "of the terminal that we were started from"}, False),
        ({"AWS_SHARED_CREDENTIALS_FILE": "/etc/postamt-sync/credentials"}, False),
        ({}, False),
    ],
)
def test_a_service_is_told_from_a_shell_by_its_environment(
    environ: dict[str, str], service: bool
) -> None:
    assert is_service(environ) is service
