"""Root's deeds below a directory that someone else owns, who plays with the names meanwhile."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from postamt_sync import atomic_file
from postamt_sync.cli.service import settings_or_example
from postamt_sync.errors import MisconfiguredError
from postamt_sync.host.directories import PlantedLinkError, held, make, make_open, owner_of
from postamt_sync.host.dovecot import managed_files
from postamt_sync.host.service.certificate import Pair
from postamt_sync.host.service.sealed_files import SealedFile
from postamt_sync.host.service.steps import Make, Remove
from postamt_sync.setup.certificates import settle
from tests.doubles.sns import certificate_pem, key_pem, private_key

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to lose"),
]
THIEF = "nobody"
ROUNDS = 300


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a directory of the thief's, on a way that he may walk."""
    with tempfile.TemporaryDirectory(prefix="thief-") as place:
        Path(place).chmod(0o755)
        home = Path(place) / "home"
        home.mkdir()
        thief = pwd.getpwnam(THIEF)
        os.chown(home, thief.pw_uid, thief.pw_gid)
        yield home


@pytest.fixture
def treasure(tmp_path: Path) -> Path:
    place = tmp_path / "treasure"
    place.mkdir(mode=0o755)
    return place


@contextmanager
def thief_at(name: Path, elsewhere: Path) -> Iterator[None]:
    """Let a process of the thief's make of a name now a link, now a directory, now nothing."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            thief = pwd.getpwnam(THIEF)
            os.setgroups([])
            os.setgid(thief.pw_gid)
            os.setuid(thief.pw_uid)
            os.write(writer, b"begun")
            play(name, elsewhere)
        finally:
            os._exit(1)
    try:
        assert os.read(reader, 5) == b"begun"
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


def play(name: Path, elsewhere: Path) -> None:
    spare = name.with_name("spare")
    for deed in itertools.cycle(
        (
            lambda: spare.symlink_to(elsewhere),
            lambda: spare.rename(name),
            name.unlink,
            name.rmdir,
            name.mkdir,
            lambda: name.rename(spare),
            spare.unlink,
            spare.rmdir,
        )
    ):
        with contextlib.suppress(OSError):
            deed()


def test_what_is_made_for_a_user_never_gives_him_what_he_links_to(
    home: Path, treasure: Path
) -> None:
    with thief_at(home / "Maildir", treasure):
        for _ in range(ROUNDS):
            try:
                Make(home / "Maildir/deep", THIEF).do()
            except MisconfiguredError:
                continue
    assert treasure.stat().st_uid == 0
    assert list(treasure.iterdir()) == []


def test_a_link_that_stands_still_is_refused(home: Path, treasure: Path, tmp_path: Path) -> None:
    (home / "there").symlink_to(treasure)
    with pytest.raises(MisconfiguredError, match="link"):
        Make(home / "there/deep", THIEF).do()
    with pytest.raises(MisconfiguredError, match="link"):
        certificate(tmp_path).copy_to(Pair(home / "there/c", home / "there/k"), "nogroup")
    for deed in (
        lambda: managed_files.write(home / "there/passwords", "ours"),
        lambda: managed_files.read(home / "there/passwords"),
        lambda: managed_files.keep_aside(home / "there/passwords"),
    ):
        with pytest.raises(PlantedLinkError):
            deed()
    assert list(treasure.iterdir()) == []


def certificate(place: Path) -> Pair:
    key = private_key(1)
    source = Pair(place / "chain.pem", place / "key.pem")
    source.chain.write_bytes(certificate_pem(key))
    source.key.write_bytes(key_pem(key))
    return source


def test_a_certificate_never_lands_where_a_link_leads(
    home: Path, treasure: Path, tmp_path: Path
) -> None:
    source = certificate(tmp_path)
    target = Pair(home / "tls/chain.pem", home / "tls/key.pem")
    with thief_at(home / "tls", treasure):
        for _ in range(ROUNDS):
            try:
                source.copy_to(target, "nogroup")
            except MisconfiguredError:
                continue
    assert list(treasure.iterdir()) == []


def test_a_renewed_certificate_is_not_read_where_a_link_leads(
    home: Path, treasure: Path, tmp_path: Path
) -> None:
    """Root's own key would come where the service can read it."""
    certificate(treasure)
    (home / "lineage").symlink_to(treasure)
    for name in ("chain.pem", "key.pem"):
        (home / name).symlink_to(treasure / name)
    target = Pair(tmp_path / "tls-chain.pem", tmp_path / "tls-key.pem")
    for source in (home, home / "lineage"):
        with pytest.raises(MisconfiguredError):
            Pair(source / "chain.pem", source / "key.pem").copy_to(target, "nogroup")
    assert not target.key.exists()


def test_a_certificate_of_our_own_never_lands_where_a_link_leads(
    home: Path, treasure: Path
) -> None:
    target = Pair(home / "tls/deep/chain.pem", home / "tls/deep/key.pem")
    (treasure / "deep").mkdir()
    with thief_at(home / "tls", treasure):
        for _ in range(3):
            with contextlib.suppress(MisconfiguredError):
                settle(target, "mail.example.com", "nogroup", home / "etc")
    assert list((treasure / "deep").iterdir()) == []


def test_the_example_never_lands_where_a_link_leads(home: Path, treasure: Path) -> None:
    (home / "etc").symlink_to(treasure)
    for below in ("config.toml", "deep/config.toml"):
        with pytest.raises(MisconfiguredError, match="leads over a link"):
            settings_or_example(home / "etc" / below, dry_run=False)
    assert list(treasure.iterdir()) == []


def test_a_unit_or_page_is_neither_written_nor_removed_where_a_link_leads(
    home: Path, treasure: Path
) -> None:
    """As below /usr/local, which on Debian the group staff may write to."""
    page = SealedFile.of(home / "man/page.1", "text\n")
    (treasure / "page.1").write_text(page.text)
    with thief_at(home / "man", treasure):
        for _ in range(ROUNDS):
            with contextlib.suppress(MisconfiguredError):
                Remove(page.path).do()
                page.write()
    assert [path.name for path in treasure.iterdir()] == ["page.1"]
    assert (treasure / "page.1").stat().st_nlink == 1


def test_a_directory_for_all_is_made_with_its_parents() -> None:
    with tempfile.TemporaryDirectory(dir="/var/lib", prefix="postamt-test-") as place:
        make_open(Path(place) / "a/b")
        make_open(Path(place) / "a/b")
        for below in ("a", "a/b"):
            found = (Path(place) / below).stat()
            assert (found.st_uid, found.st_mode & 0o777) == (0, 0o755)


def test_dovecots_files_are_neither_read_nor_written_through_a_link(
    home: Path, treasure: Path
) -> None:
    (treasure / "passwords").write_text("a secret")
    with thief_at(home / "dovecot", treasure):
        for _ in range(ROUNDS):
            try:
                assert managed_files.read(home / "dovecot/passwords") != "a secret"
                managed_files.write(home / "dovecot/passwords", "ours")
            except (MisconfiguredError, managed_files.TryLaterError):
                continue
    assert [path.name for path in treasure.iterdir()] == ["passwords"]
    assert (treasure / "passwords").read_text() == "a secret"


def test_a_file_that_is_a_link_in_someones_directory_is_not_read(
    home: Path, treasure: Path
) -> None:
    (treasure / "secret").write_text("a secret")
    (home / "passwords").symlink_to(treasure / "secret")
    with pytest.raises(managed_files.TryLaterError):
        managed_files.read(home / "passwords")
    os.mkfifo(home / "fifo")
    with pytest.raises(managed_files.TryLaterError, match="regular"):
        managed_files.read(home / "fifo")


def test_what_is_kept_aside_is_the_link_itself(home: Path, treasure: Path) -> None:
    (treasure / "secret").write_text("a secret")
    (home / "dovecot.conf").symlink_to(treasure / "secret")
    assert managed_files.keep_aside(home / "dovecot.conf").is_symlink()


def test_links_that_only_root_can_have_made_are_followed(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/var/lib", prefix="postamt-test-") as place:
        real, link = Path(place) / "real", Path(place) / "link"
        real.mkdir()
        link.symlink_to("real")
        with held(link) as there:
            atomic_file.write(there / "file", "ours")
        assert (real / "file").read_text() == "ours"
        assert owner_of(link / "..") == 0
        link.unlink()
        link.symlink_to(link)
        with pytest.raises(PlantedLinkError), held(link / "below"):
            pass


def test_missing_parents_are_made_for_the_user() -> None:
    thief = pwd.getpwnam(THIEF)
    with tempfile.TemporaryDirectory(dir="/var/lib", prefix="postamt-test-") as place:
        make(Path(place) / "a/b/c", THIEF)
        for below in ("a", "a/b", "a/b/c"):
            found = (Path(place) / below).stat()
            assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (
                *(thief.pw_uid, thief.pw_gid),
                0o700,
            )


def test_a_directory_of_roots_that_a_group_may_write_to_will_do(tmp_path: Path) -> None:
    """As /var/mail is on Debian."""
    tmp_path.chmod(0o2775)
    make(tmp_path / "vhosts/anna", THIEF)
    thief = pwd.getpwnam(THIEF)
    assert {p.stat().st_uid for p in (tmp_path / "vhosts").rglob("*")} == {thief.pw_uid}


def test_missing_parents_in_a_users_directory_are_his(home: Path) -> None:
    make(home / "a/b", THIEF)
    thief = pwd.getpwnam(THIEF)
    assert {path.stat().st_uid for path in (home / "a", home / "a/b")} == {thief.pw_uid}
    assert (home / "a/b").stat().st_mode & 0o777 == 0o700


def test_a_link_proves_no_owner(home: Path, treasure: Path) -> None:
    (home / "Maildir").symlink_to(treasure)
    (home / "way").symlink_to(treasure.parent)
    assert owner_of(home / "Maildir") is None
    assert owner_of(home / "way/treasure") is None
    assert owner_of(treasure) == 0
