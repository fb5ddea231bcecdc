"""A mailbox that cannot be written: its mail waits, `status` says why, everybody else's goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.doubles.s3 import S3Double
from tests.end_to_end.home import ANNA, BRUNO, Home
from tests.end_to_end.letters import Letter, letter, put

MB = 1 << 20
FIRST = letter("first")
SECOND = letter("second")
BRUNOS = letter("brunos", BRUNO)
LARGE = letter("large", ANNA, "Tea? " * (MB // 2))


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    """A disk of its own at this place; being root is not enough for that in some containers."""
    place.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("needs root and the right to mount a tmpfs")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)


def waits(home: Home, why: str, remedy: str, *left_out: Letter) -> None:
    """Anna's mail waits with its reason and remedy, in the pass and in `status`; Bruno's came."""
    code, said = home.sync()
    assert (code, said["failed"], said["delivered"]) == (1, len(left_out), 1), said
    assert home.drafts() == []
    status = home.status()
    assert status["mails"]["waiting"] == len(left_out)
    assert sorted(one["key"] for one in status["waiting"]) == sorted(one.key for one in left_out)
    for one in status["waiting"]:
        assert why in one["problem"]
        assert remedy in one["problem"]
    problems = {mailbox["name"]: mailbox["problem"] or "" for mailbox in status["mailboxes"]}
    assert why in problems["anna"]
    assert problems["bruno"] == ""


def recovers(home: Home, *letters: Letter) -> None:
    code, said = home.sync()
    assert code == 0, said
    assert home.contents() == Counter(copy for one in letters for copy in one.expected())
    assert home.drafts() == []
    assert home.states() == {"delivered": len(letters)}
    assert home.status()["waiting"] == []


def test_a_vanished_root_is_an_unmounted_disk(home: Home, s3: S3Double) -> None:
    put(s3, FIRST)
    assert home.sync()[0] == 0
    elsewhere = home.root / "unmounted"
    home.maildirs["anna"].rename(elsewhere)
    put(s3, SECOND, BRUNOS)
    waits(home, "has vanished", "Mount its disk", SECOND)
    assert not home.maildirs["anna"].exists(), "nothing may be made under the mount point"
    elsewhere.rename(home.maildirs["anna"])
    recovers(home, FIRST, SECOND, BRUNOS)


def test_an_empty_mount_point_is_an_unmounted_disk(home: Home, s3: S3Double) -> None:
    put(s3, FIRST)
    assert home.sync()[0] == 0
    elsewhere = home.root / "unmounted"
    home.maildirs["anna"].rename(elsewhere)
    home.maildirs["anna"].mkdir()
    put(s3, SECOND, BRUNOS)
    waits(home, "has vanished", "Mount its disk", SECOND)
    assert list(home.maildirs["anna"].iterdir()) == []
    home.maildirs["anna"].rmdir()
    elsewhere.rename(home.maildirs["anna"])
    recovers(home, FIRST, SECOND, BRUNOS)


def test_the_daemon_goes_on_by_itself_when_the_disk_is_back(home: Home, s3: S3Double) -> None:
    put(s3, FIRST)
    assert home.sync()[0] == 0
    elsewhere = home.root / "unmounted"
    home.maildirs["anna"].rename(elsewhere)
    put(s3, SECOND, BRUNOS)
    daemon = home.start()
    assert "has vanished" in daemon.until("will try again")["reason"]
    elsewhere.rename(home.maildirs["anna"])
    daemon.until("delivered", mailbox="anna")
    daemon.wait(lambda: home.states() == {"delivered": 3}, "all delivered")
    assert daemon.stop() == 0
    recovers(home, FIRST, SECOND, BRUNOS)


def test_a_file_in_the_way_of_a_mailbox(home: Home, s3: S3Double) -> None:
    home.maildirs["anna"].parent.mkdir()
    home.maildirs["anna"].write_text("not a directory")
    put(s3, FIRST, BRUNOS)
    waits(home, "Something that is no directory is in the way", "Move it away", FIRST)
    home.maildirs["anna"].unlink()
    recovers(home, FIRST, BRUNOS)


class TestDisks:
    pytestmark = pytest.mark.root

    def test_a_read_only_disk(self, home: Home, s3: S3Double) -> None:
        put(s3, FIRST)
        with small_disk(home.maildirs["anna"], "4m"):
            assert home.sync()[0] == 0
            remount(home.maildirs["anna"], "ro")
            put(s3, SECOND, BRUNOS)
            waits(home, "The file system is read-only", "remount it writable", SECOND)
            remount(home.maildirs["anna"], "rw")
            recovers(home, FIRST, SECOND, BRUNOS)

    def test_a_full_disk(self, home: Home, s3: S3Double) -> None:
        put(s3, FIRST)
        with small_disk(home.maildirs["anna"], "1m"):
            assert home.sync()[0] == 0
            put(s3, LARGE, BRUNOS)
            waits(home, "The disk is full", "Make room", LARGE)
            remount(home.maildirs["anna"], "size=16m")
            recovers(home, FIRST, LARGE, BRUNOS)

    def test_a_full_disk_takes_the_small_mail_that_still_fits(
        self, home: Home, s3: S3Double
    ) -> None:
        put(s3, FIRST, LARGE)
        with small_disk(home.maildirs["anna"], "1m"):
            waits(home, "The disk is full", "Make room", LARGE)
            assert home.contents() == Counter(FIRST.expected())

    def test_a_full_disk_under_the_ledger(self, home: Home, s3: S3Double) -> None:
        put(s3, FIRST)
        with small_disk(home.state, "2m"):
            assert home.sync()[0] == 0
            filler = home.state / "filler"
            with pytest.raises(OSError, match="No space"):
                filler.write_bytes(bytes(4 * MB))
            put(s3, SECOND)
            code, said = home.sync()
            assert code == 75
            assert str(home.state) in said["error"]
            assert said["hint"]
            assert home.contents() <= Counter([*FIRST.expected(), *SECOND.expected()])
            filler.unlink()
            recovers(home, FIRST, SECOND)

    def test_a_read_only_disk_under_the_ledger(self, home: Home, s3: S3Double) -> None:
        put(s3, FIRST)
        with small_disk(home.state, "4m"):
            assert home.sync()[0] == 0
            remount(home.state, "ro")
            put(s3, SECOND)
            code, said = home.sync()
            assert code == 75
            assert str(home.state) in said["error"]
            assert said["hint"]
            remount(home.state, "rw")
            recovers(home, FIRST, SECOND)


RIGHTS = "-all,+dac_read_search"
"""Of root's rights only that to read: the Python that runs us may lie in root's own directory."""
NOBODY = (
    *("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"),
    # Without the last one the kernel's access(2) would forget that right.
    *(f"--inh-caps={RIGHTS}", f"--ambient-caps={RIGHTS}", "--securebits=+no_setuid_fixup"),
)


class TestOwners:
    pytestmark = pytest.mark.root

    @pytest.fixture
    def nobodys(self, s3: S3Double) -> Iterator[Home]:
        """A home of the user nobody, who may not look into pytest's own directories."""
        if os.geteuid() != 0 or shutil.which("setpriv") is None:
            pytest.skip("needs root and setpriv to become someone else")
        if subprocess.run([*NOBODY, "true"], check=False).returncode != 0:
            pytest.skip("this container does not let us become someone else")
        with tempfile.TemporaryDirectory() as place:
            home = Home(Path(place), s3.environment(), NOBODY)
            (home.root / "mail").mkdir()
            for path in (home.root, home.root / "mail"):
                shutil.chown(path, "nobody")
            yield home
            home.close()

    def test_a_mailbox_of_another_owner(self, nobodys: Home, s3: S3Double) -> None:
        for part in ("", "tmp", "new", "cur"):
            (nobodys.maildirs["anna"] / part).mkdir(mode=0o700)
        put(s3, FIRST, BRUNOS)
        waits(nobodys, "Permission is denied", "Give the directory to the user", FIRST)
        shutil.chown(nobodys.maildirs["anna"], "nobody")
        for part in ("tmp", "new", "cur"):
            shutil.chown(nobodys.maildirs["anna"] / part, "nobody")
        recovers(nobodys, FIRST, BRUNOS)

    def test_a_state_directory_of_another_owner(self, nobodys: Home, s3: S3Double) -> None:
        nobodys.state.mkdir(mode=0o700)
        put(s3, FIRST)
        code, said = nobodys.sync()
        assert code == 75
        assert str(nobodys.state) in said["error"]
        assert said["hint"]
        shutil.chown(nobodys.state, "nobody")
        recovers(nobodys, FIRST)
