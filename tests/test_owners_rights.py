"""Root's files in directories of another user, who has planted links there and goes on to."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from postamt_sync.bootstrap.key_file import Held, SyncKeyFile, replace_file, settle, small_text
from postamt_sync.bootstrap.key_intent import PendingKey
from postamt_sync.cli.main import run
from postamt_sync.errors import PostamtError
from postamt_sync.owners_rights import make_directories, on_the_way_to
from postamt_sync.seal.proving import Canary, write_canaries
from tests.cli.test_root_verbs import picture
from tests.host.test_directories import THIEF, thief_at

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to lose"),
]
THIEVES = pwd.getpwnam(THIEF)
ANSWER = {"AccessKey": {"AccessKeyId": "AKIA1", "SecretAccessKey": "s3cret"}}
OWNER = "arn:aws:iam::123456789012:user/postamt-sync"


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a directory of root's that everybody may look into."""
    with tempfile.TemporaryDirectory(prefix="rights-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def treasure(place: Path) -> Iterator[Path]:
    """Return a directory of root's; in the end it is as it was."""
    treasure = place / "treasure"
    treasure.mkdir(mode=0o755)
    (treasure / "secret").write_text("[default]\naws_access_key_id = ROOTS\n")
    (treasure / "secret").chmod(0o600)
    before = picture(treasure)
    yield treasure
    assert picture(treasure) == before


@pytest.fixture
def home(place: Path) -> Path:
    home = place / "home"
    home.mkdir()
    os.chown(home, THIEVES.pw_uid, THIEVES.pw_gid)
    return home


def plant(name: Path, target: Path) -> None:
    name.symlink_to(target)
    os.lchown(name, THIEVES.pw_uid, THIEVES.pw_gid)


def key_in(directory: Path) -> SyncKeyFile:
    return SyncKeyFile(directory / "credentials", "postamt-sync", OWNER)


def given(directory: Path) -> None:
    key_in(directory).on_response(ANSWER)


def begun(directory: Path) -> None:
    intent = PendingKey(key_in(directory))
    with intent.alone():
        intent.begin(["AKIA0"], datetime.now(UTC))
        intent.drop()


DEEDS: dict[str, Callable[[Path], object]] = {
    "key": given,
    "intent": begun,
    "file": lambda directory: replace_file(directory / "credentials", "text"),
    "directories": make_directories,
    "canaries": lambda directory: write_canaries([Canary("F", "d", "message")], directory),
}


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("below", ["", "new", "new/and/more"])
def test_nothing_is_made_where_his_links_lead(
    home: Path, treasure: Path, deed: str, below: str
) -> None:
    plant(home / "keys", treasure)
    if below:
        with pytest.raises((PostamtError, OSError)):
            DEEDS[deed](home / "keys" / below)
    elif deed != "directories":  # that are there
        with pytest.raises((PostamtError, OSError)):
            DEEDS[deed](home / "keys")


@pytest.mark.parametrize("name", ["credentials", ".credentials.new", ".credentials.pending"])
@pytest.mark.parametrize("target", ["secret", "new"])
def test_nothing_is_written_or_read_where_a_link_in_the_place_of_the_file_leads(
    home: Path, treasure: Path, name: str, target: str
) -> None:
    plant(home / name, treasure / target)
    assert key_in(home).look().key_id == ""
    assert PendingKey(key_in(home)).intent() is None
    given(home)
    begun(home)
    assert key_in(home).look() == Held("AKIA1", OWNER)


def test_what_is_made_is_his(home: Path) -> None:
    given(home / "a" / "b")
    made = [home / "a", home / "a/b", home / "a/b/credentials"]
    assert {path.stat().st_uid for path in made} == {THIEVES.pw_uid}
    assert [path.stat().st_mode & 0o777 for path in made] == [0o700, 0o700, 0o600]
    assert key_in(home / "a/b").look().key_id == "AKIA1"


def test_roots_own_directories_stay_roots(place: Path) -> None:
    given(place / "a" / "b")
    (place / "link").symlink_to(place / "a")
    assert key_in(place / "link" / "b").look().key_id == "AKIA1"
    given(place / "link" / "b")
    assert (place / "a/b/credentials").stat().st_uid == 0


def test_a_file_of_his_in_a_directory_of_roots_is_written_over_by_root(place: Path) -> None:
    given(place)
    os.chown(place / "credentials", THIEVES.pw_uid, THIEVES.pw_gid)
    assert key_in(place).look().key_id == "AKIA1"
    given(place)
    assert (place / "credentials").stat().st_uid == 0


def test_a_way_that_anybody_can_change_is_not_gone(place: Path) -> None:
    (place / "open").mkdir()
    (place / "open").chmod(0o777)
    (place / "open" / "keys").mkdir()
    with pytest.raises(PostamtError, match="anybody may write"):
        given(place / "open" / "keys")
    (place / "open").chmod(0o1777)
    given(place / "open" / "keys")


def test_links_that_lead_in_a_circle_end(place: Path) -> None:
    (place / "a").symlink_to(place / "b")
    (place / "b").symlink_to(place / "a")
    with pytest.raises(PostamtError, match="cannot be written"):
        given(place / "a")


def test_a_directory_that_becomes_a_link(home: Path, treasure: Path) -> None:
    with thief_at(home / "keys", treasure):
        for _ in range(40):
            for deed in (lambda: given(home / "keys"), lambda: small_text(home / "keys/secret")):
                try:
                    deed()
                except (PostamtError, OSError):
                    continue


def test_the_rights_come_back(home: Path, treasure: Path) -> None:
    with pytest.raises(PermissionError), on_the_way_to(home):
        (treasure / "secret").read_bytes()
    assert (treasure / "secret").read_bytes()
    with pytest.raises(PostamtError):
        settle(home / "credentials")
    assert (treasure / "secret").read_bytes()


def test_nor_does_a_configuration_go_where_his_link_leads(home: Path, treasure: Path) -> None:
    plant(home / "etc", treasure)
    words = ["--domain", "example.com", "--region", "eu-west-1", "--mailbox", "anna", "--no-port"]
    words += ["--account", "123456789012", "--maildirs", str(home)]
    for output in (home / "etc" / "config.toml", home / "config.toml"):
        run(["bootstrap", "init", *words, "--output", str(output)])
    assert (home / "config.toml").stat().st_uid == THIEVES.pw_uid
