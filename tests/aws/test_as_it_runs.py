"""Hints fit the way we run."""

from __future__ import annotations

import os

import pytest

from postamt_sync.aws.as_it_runs import as_it_runs, is_service
from postamt_sync.aws.meanings import MEANINGS, Asker

SERVICE = {"CREDENTIALS_DIRECTORY": "/run/credentials/postamt-sync.service"}


@pytest.mark.parametrize("meaning", MEANINGS[Asker.DAEMON].values(), ids=lambda m: m.problem[:30])
def test_the_service_looks_into_no_home(meaning: object) -> None:
    hint = str(getattr(meaning, "hint", ""))
    assert "~/.aws" not in as_it_runs(hint, SERVICE)
    assert as_it_runs(hint, {}) == hint
    if "~/.aws/credentials" in hint:
        assert "/etc/postamt-sync/credentials" in as_it_runs(hint, SERVICE)


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
