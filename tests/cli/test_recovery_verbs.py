"""`verify`, `rebuild` and `restore` as processes, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.errors import ExitCode
from postamt_sync.ledger.store import FILE_NAME
from tests.doubles.s3 import S3Double
from tests.end_to_end.home import Home
from tests.end_to_end.letters import letter, put


@pytest.fixture
def s3() -> Iterator[S3Double]:
    with S3Double.in_thread() as double:
        yield double


@pytest.fixture
def home(tmp_path: Path, s3: S3Double) -> Iterator[Home]:
    """Two mails of Anna's, of which one was deleted since."""
    home = Home(tmp_path, s3.environment())
    put(s3, letter("one"), letter("two"))
    assert home.sync()[0] == 0
    (_, path), *_ = home.mails()
    path.unlink()
    yield home
    home.close()


@pytest.mark.slow
def test_verify_lists_differences_and_leaves_out_excepted_kinds(home: Home) -> None:
    done = home.do("verify")
    assert done.returncode == ExitCode.FINDINGS, done.stderr
    difference, totals = done.stdout.splitlines()
    assert difference.startswith("missing      incoming/")
    assert difference.endswith(" (anna)")
    assert totals == "2 objects and 1 file compared: 1 missing."
    done = home.do("verify", "--except", "missing")
    assert (done.returncode, done.stdout) == (
        0,
        "2 objects and 1 file compared: no difference.\n",
    )


@pytest.mark.slow
def test_verify_as_json(home: Home) -> None:
    done = home.do("verify", "--json", "--content")
    assert done.returncode == ExitCode.FINDINGS
    said = json.loads(done.stdout)
    assert (said["objects"], said["files"], said["counts"]["missing"]) == (2, 1, 1)
    (difference,) = said["differences"]
    assert difference["kind"] == "missing"
    assert difference["mailbox"] == "anna"


@pytest.mark.slow
def test_verify_names_the_kinds_there_are(home: Home) -> None:
    done = home.do("verify", "--except", "lost")
    assert done.returncode == 64
    assert "missing" in done.stderr


@pytest.mark.slow
def test_rebuild_fills_a_lost_ledger(home: Home) -> None:
    (home.state / FILE_NAME).unlink()
    done = home.do("rebuild", "--anew")
    assert done.returncode == 0, done.stderr
    assert "1 file name read, 2 objects listed" in done.stdout
    assert json.loads(home.do("rebuild", "--json").stdout)["listed"] == 2


@pytest.mark.slow
def test_rebuild_refuses_beside_the_daemon(home: Home) -> None:
    daemon = home.start()
    daemon.until("started")
    done = home.do("rebuild", "--anew")
    assert done.returncode == 75
    assert "postamt-sync run" in done.stderr
    assert daemon.stop() == 0


@pytest.mark.slow
def test_restore_says_first_what_it_costs_and_asks(home: Home) -> None:
    done = home.do("restore", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "1 mail to bring back (1 missing)" in done.stdout
    assert "USD" in done.stdout
    done = home.do("restore")
    assert done.returncode == 64
    assert "--yes" in done.stderr
    assert sum(home.contents().values()) == 1


@pytest.mark.slow
def test_restore_brings_every_missing_mail_home_once(home: Home) -> None:
    done = home.do("restore", "--yes")
    assert done.returncode == 0, done.stderr
    assert "1 of 1 mail at home." in done.stdout
    assert home.contents() == {c: 1 for x in ("one", "two") for c in letter(x).expected()}
    done = home.do("restore", "--yes")
    assert (done.returncode, done.stdout) == (0, "Nothing is missing.\n")


@pytest.mark.slow
def test_restore_beside_the_daemon_which_delivers(home: Home) -> None:
    daemon = home.start()
    daemon.until("started")
    done = home.do("restore", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["wanted"], said["delivered"], len(said["mails"])) == (1, 1, 1)
    daemon.until("delivered")
    assert daemon.stop() == 0
    assert sum(home.contents().values()) == 2


@pytest.mark.slow
def test_restore_of_one_key(home: Home) -> None:
    (key,) = [d["key"] for d in json.loads(home.do("verify", "--json").stdout)["differences"]]
    (other,) = {letter("one").key, letter("two").key} - {key}
    done = home.do("restore", "--yes", other)
    assert done.returncode == 64
    assert "redeliver" in done.stderr
    assert home.do("restore", "--yes", key).returncode == 0
    assert sum(home.contents().values()) == 2


@pytest.mark.slow
def test_nothing_is_restored_while_a_disk_is_away(home: Home) -> None:
    for part in ("tmp", "new", "cur"):
        for path in (home.maildirs["anna"] / part).iterdir():
            path.unlink()
        (home.maildirs["anna"] / part).rmdir()
    done = home.do("restore", "--yes")
    assert done.returncode == 75
    assert "mkdir" in done.stderr
