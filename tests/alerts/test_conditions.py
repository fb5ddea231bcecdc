"""What looking tells of the box."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from pathlib import Path

import pytest

from postamt_sync.alerts import conditions
from postamt_sync.ledger.overview import SourceHealth
from tests.delivery.home import Home
from tests.doubles.sns import DAY, certificate_pem, private_key

NOW = 1_790_000_000.0


def source(
    name: str, ok_at: float | None, problem: str | None = None, refused: bool = False
) -> SourceHealth:
    return SourceHealth(name, ok_at, None, problem, None, refused)


def test_only_refused_credentials_count() -> None:
    sources = [
        source("poll", NOW, "We may not list the bucket mail.", refused=True),
        source("queue", NOW, "AWS could not be reached."),
        source("webhook", NOW),
    ]
    assert conditions.refused(sources) == {"poll": "poll: We may not list the bucket mail."}


@pytest.mark.parametrize(
    ("ok_at", "running", "interval", "silent"),
    [
        (NOW - 3599, 9999, 300, False),
        (NOW - 3600, 9999, 300, True),
        (NOW - 3600, 3599, 300, False),  # the box was off until just now
        (None, 3600, 300, True),
        (None, 3599, 300, False),
        (NOW + 9999, 9999, 300, False),  # the clock was set back
        (NOW - 7200, 99_999, 3600, False),  # it is rare as configured
        (NOW - 10_800, 99_999, 3600, True),
    ],
)
def test_silence_is_told_after_an_hour_or_three_intervals(
    ok_at: float | None, running: float, interval: float, silent: bool
) -> None:
    sources = [source("poll", ok_at, "No network."), source("queue", None)]
    found = conditions.silent(sources, now=NOW, running=running, interval=interval)
    assert bool(found) is silent
    if silent:
        assert "No network." in found["poll"]


def test_no_source_at_all_is_silence() -> None:
    assert conditions.silent([], now=NOW, running=9999, interval=300)


@pytest.mark.parametrize(
    ("ok_at", "running", "told"),
    [
        (NOW - 7 * 3600, 10, True),
        (NOW - 5 * 3600, 9 * 3600, False),
        (None, 7 * 3600, True),
        (None, 3600, False),
    ],
)
def test_sealing_that_does_not_go_well(ok_at: float | None, running: float, told: bool) -> None:
    sources = [source("seal", ok_at, "A key has ended."), source("poll", NOW)]
    found = conditions.unsealed(sources, now=NOW, running=running)
    assert found == ({"seal": "A key has ended."} if told else {})


def test_sealing_that_goes_well_or_is_off() -> None:
    assert conditions.unsealed([], now=NOW, running=9e9) == {}
    assert conditions.unsealed([source("seal", NOW - 9e5)], now=NOW, running=9e9) == {}


def certificate(path: Path, begins: dt.timedelta, ends: dt.timedelta) -> Path:
    path.write_bytes(certificate_pem(private_key(), begins=begins, ends=ends))
    return path


@pytest.mark.parametrize(
    ("lived", "left", "near"),
    [
        (75 * DAY, 15 * DAY, False),
        (77 * DAY, 13 * DAY, True),
        (91 * DAY, -1 * DAY, True),
        (4 * DAY, 2 * DAY, False),  # of six days: a quarter is a day and a half
        (5 * DAY, 1 * DAY, True),
    ],
)
def test_a_certificate_that_expires_soon_is_told(
    tmp_path: Path, lived: dt.timedelta, left: dt.timedelta, near: bool
) -> None:
    path = certificate(tmp_path / "c.pem", -lived, left)
    found = conditions.expiring(path, now=dt.datetime.now(dt.UTC).timestamp())
    assert bool(found) is near
    if near:
        assert ("expired" if left < dt.timedelta() else "expires") in found[str(path)]


def test_a_certificate_that_cannot_be_read_is_someone_elses_matter(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("no certificate")
    for path in (None, tmp_path / "c.pem", tmp_path / "none.pem", tmp_path):
        assert conditions.expiring(path, now=NOW) == {}


# Disks


class Statvfs:
    """A file system of so many bytes and files."""

    def __init__(self, size: int, free: int, files: int = 1000, free_files: int = 500) -> None:
        self.f_frsize = 4096
        self.f_blocks, self.f_bavail = size // 4096, free // 4096
        self.f_files, self.f_favail = files, free_files


MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("disk", "full"),
    [
        (Statvfs(30 * GIB, 10 * GIB), False),
        (Statvfs(30 * GIB, 1 * GIB), True),
        (Statvfs(8 * GIB, 1 * GIB), False),
        (Statvfs(4000 * GIB, 100 * GIB), False),
        (Statvfs(1 * GIB, 100 * MIB), True),
        (Statvfs(30 * GIB, 10 * GIB, free_files=10), True),
        (Statvfs(30 * GIB, 10 * GIB, files=0, free_files=0), False),  # btrfs counts none
    ],
)
def test_a_full_disk_is_told_once(tmp_path: Path, disk: Statvfs, full: bool) -> None:
    def look(path: Path) -> Statvfs:
        return disk

    found = conditions.full({"state": tmp_path, "anna": tmp_path}, look)
    assert list(found) == (["state"] if full else []), "one disk is named once"


def test_a_real_disk_and_none_at_all(tmp_path: Path) -> None:
    found = conditions.full({"gone": tmp_path / "none", "state": tmp_path})
    stat = os.statvfs(tmp_path)
    room = stat.f_bavail * stat.f_frsize
    assert "gone" not in found
    assert ("state" in found) <= (room < 2 * GIB or stat.f_favail < stat.f_files / 20)


# Mailboxes


def test_a_mailbox_that_vanished(tmp_path: Path) -> None:
    home = Home(tmp_path)
    look = lambda: conditions.vanished(home.mailboxes, ["anna", "bruno", "nobody"])  # noqa: E731
    assert look() == {}
    shutil.rmtree(home.root("bruno"))
    found = look()
    assert list(found) == ["bruno"]
    assert "has vanished" in found["bruno"]
    assert not home.root("bruno").exists()
    home.close()
