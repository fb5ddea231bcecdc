"""`mailbox accept` as a process, as a person types it after a disk was replaced."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.s3 import S3Double
from tests.end_to_end.home import Home
from tests.end_to_end.letters import letter, put


@pytest.fixture
def s3() -> Iterator[S3Double]:
    with S3Double.in_thread() as double:
        yield double


@pytest.fixture
def replaced(tmp_path: Path, s3: S3Double) -> Iterator[Home]:
    """A mail of Anna's was lost with her disk, and another waits; an empty Maildir is there."""
    home = Home(tmp_path, s3.environment())
    put(s3, letter("one"))
    assert home.sync()[0] == 0
    shutil.rmtree(home.maildirs["anna"])
    for part in ("tmp", "new", "cur"):
        (home.maildirs["anna"] / part).mkdir(parents=True)
    put(s3, letter("two"))
    assert home.sync()[0] != 0
    yield home
    home.close()


@pytest.mark.slow
def test_lets_the_mail_that_waits_go_on(replaced: Home) -> None:
    assert sum(replaced.contents().values()) == 0
    said = " ".join(replaced.do("status").stdout.split())
    assert "postamt-sync mailbox accept --config" in said
    done = replaced.do("mailbox", "accept", "anna")
    assert done.returncode == 0, done.stderr
    assert "is the Maildir of anna from now on" in done.stdout
    assert replaced.sync()[0] == 0
    assert sum(replaced.contents().values()) == 1, "what was delivered once is not delivered again"


@pytest.mark.slow
def test_refuses_what_is_no_mailbox(replaced: Home) -> None:
    done = replaced.do("mailbox", "accept", "carla")
    assert done.returncode == 64
    assert "anna" in done.stderr


@pytest.mark.slow
def test_refuses_what_is_no_maildir(replaced: Home) -> None:
    (replaced.maildirs["anna"] / "cur").rmdir()
    done = replaced.do("mailbox", "accept", "anna")
    assert done.returncode == 75
    assert "mkdir" in done.stderr
