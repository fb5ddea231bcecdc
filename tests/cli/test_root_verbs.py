"""Root's commands in directories of another user, who has planted links there and goes on to."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.cli.main import run
from postamt_sync.errors import ExitCode, PostamtError
from postamt_sync.ledger import CourierLock, Ledger
from tests.cli.test_other_user import VERBS as OF_ONE_LEDGER
from tests.cli.test_other_user import of_anna, open_to_all
from tests.host.test_directories import THIEF, thief_at

__all__ = ["open_to_all"]

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to lose"),
]
OWNER = pwd.getpwnam(THIEF)
VERBS = [*OF_ONE_LEDGER, ["doctor"], ["check"]]
STATE_FILES = ["ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm", "courier.lock"]
ROUNDS = 30


@pytest.fixture
def treasure(open_to_all: Path) -> Iterator[Path]:
    """Return a directory of root's; in the end it is as it was."""
    place = open_to_all / "treasure"
    place.mkdir(mode=0o755)
    (place / "secret").write_text("a secret")
    (place / "secret").chmod(0o600)
    before = picture(place)
    yield place
    assert picture(place) == before


@pytest.fixture
def state(open_to_all: Path) -> Path:
    """Return the state directory of the thief's; his is the configured Maildir too."""
    state = open_to_all / "state"
    for path in (state, open_to_all / "anna", open_to_all / "anna/Maildir"):
        path.mkdir()
        os.chown(path, OWNER.pw_uid, OWNER.pw_gid)
    (open_to_all / "config.toml").write_text(of_anna(open_to_all))
    return state


def picture(place: Path) -> dict[str, tuple[int, int, int, bytes]]:
    return {
        path.name: (
            path.stat().st_uid,
            path.stat().st_nlink,
            path.stat().st_mode,
            path.read_bytes(),
        )
        for path in place.iterdir()
    }


def of_others(place: Path) -> list[str]:
    """Name what lies there and is not its owner's."""
    return [p.name for p in place.rglob("*") if p.lstat().st_uid != OWNER.pw_uid]


def ledger_of_his(state: Path) -> None:
    Ledger.open(state).close()
    assert of_others(state) == []


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_nothing_is_made_or_read_where_his_links_lead(
    open_to_all: Path, state: Path, treasure: Path, verb: list[str]
) -> None:
    for names in (STATE_FILES[:1], STATE_FILES[1:]):
        if names == STATE_FILES[1:]:
            (state / STATE_FILES[0]).unlink()
            ledger_of_his(state)
        for target in ("secret", "new"):
            for name in names:
                (state / name).unlink(missing_ok=True)
                (state / name).symlink_to(treasure / target)
                os.lchown(state / name, OWNER.pw_uid, OWNER.pw_gid)
            run([*verb, "--config", str(open_to_all / "config.toml")])
            assert picture(treasure).keys() == {"secret"}
    assert of_others(state) == []


@pytest.mark.parametrize("name", STATE_FILES)
def test_a_second_name_of_roots_file_gives_nobody_what_is_in_it(
    open_to_all: Path, state: Path, treasure: Path, name: str
) -> None:
    """As where the kernel lets users make hard links to what is not theirs."""
    os.link(treasure / "secret", state / name)
    for verb in (["status"], ["quarantine", "retry", "--all"], ["verify"], ["sync"]):
        run([*verb, "--config", str(open_to_all / "config.toml")])
        assert (treasure / "secret").read_text() == "a secret"
        assert (treasure / "secret").stat().st_uid == 0
    (state / name).unlink()


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_what_root_makes_in_it_is_its_owners(
    open_to_all: Path, state: Path, verb: list[str]
) -> None:
    ledger_of_his(state)
    for name in STATE_FILES[1:]:
        (state / name).unlink(missing_ok=True)
    run([*verb, "--config", str(open_to_all / "config.toml")])
    assert of_others(state) == []
    assert of_others(open_to_all / "anna") == []


@pytest.mark.parametrize("name", STATE_FILES)
def test_a_link_that_comes_and_goes(state: Path, treasure: Path, name: str) -> None:
    ledger_of_his(state)
    with thief_at(state / name, treasure / "new"):
        for _ in range(ROUNDS):
            try:
                with CourierLock(state, "verify"):
                    Ledger.open(state).close()
            except (PostamtError, OSError):
                continue
    assert of_others(state) == []


def test_the_lock_and_the_ledger_are_for_their_owner_alone(state: Path) -> None:
    with CourierLock(state, "verify"):
        ledger_of_his(state)
    for path in state.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("verb", ["run", "sync", "restore", "rebuild"])
def test_who_delivers_is_not_root_where_the_state_is_anothers(
    open_to_all: Path, state: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    for path in (open_to_all / "anna", open_to_all / "anna/Maildir"):
        os.chown(path, 0, 0)
    config = open_to_all / "config.toml"
    assert run([verb, "--config", str(config)]) == ExitCode.CONFIGURATION
    told = " ".join(capsys.readouterr().err.split())
    assert f"{state} belongs to {THIEF}" in told
    assert f"sudo -u {THIEF} postamt-sync {verb} --config {config}" in told
