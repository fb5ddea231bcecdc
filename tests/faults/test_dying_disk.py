"""The disk of the ledger dies under a running daemon: it says so, and stops when it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.s3 import S3Double
from tests.end_to_end.home import Home
from tests.end_to_end.letters import letter, put
from tests.faults.campaign.image import Image, mounted
from tests.faults.forked import fork

LOST = "the ledger was taken away while it was in use; nothing is acknowledged until it is back"

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("disks")]


@pytest.fixture
def disk(tmp_path: Path, disks: None) -> Iterator[Image]:
    with mounted(tmp_path / "state.ext4", tmp_path / "state", 64) as disk:
        yield disk


@pytest.fixture
def home(tmp_path: Path, disk: Image, s3: S3Double) -> Iterator[Home]:
    home = Home(tmp_path, s3.environment())
    assert home.state == disk.place
    yield home
    home.close()


def test_it_stops_without_an_unexpected_error(home: Home, s3: S3Double, disk: Image) -> None:
    daemon = fork(home, "run")
    daemon.until("started")
    put(s3, letter("first"))
    disk.lose_power()
    daemon.until(LOST)
    assert daemon.stop() in {0, 75}, daemon.tail()
    assert "nexpected error" not in daemon.log.read_text()


def test_all_comes_once_the_disk_is_back(home: Home, s3: S3Double, disk: Image) -> None:
    daemon = fork(home, "run")
    daemon.until("started")
    put(s3, letter("first"))
    disk.lose_power()
    daemon.until(LOST)
    daemon.stop()
    disk.unmount()
    disk.mount()
    again = fork(home, "sync")
    assert again.ended() == 0, again.tail()
    assert len(home.contents()) == 1


def test_a_pass_says_what_is_wrong(home: Home, s3: S3Double, disk: Image) -> None:
    put(s3, letter("first"))
    disk.lose_power()
    code, said = home.sync()
    assert code == 75
    assert str(home.state) in said["error"]
