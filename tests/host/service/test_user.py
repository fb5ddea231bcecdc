"""Who the service runs as."""

from __future__ import annotations

import getpass
import os
import pwd
from pathlib import Path

import pytest

from postamt_sync.cli.main import run
from postamt_sync.config import load
from postamt_sync.errors import ExitCode, MisconfiguredError, UsageError
from postamt_sync.host.service.user import mail_user, refuse_root
from tests.host.service.test_units import settings
from tests.support.household import mailbox

NOBODY = pwd.getpwnam("nobody").pw_uid


def silent() -> str:
    return ""


def test_what_a_person_says_wins(tmp_path: Path) -> None:
    assert mail_user(settings(tmp_path), "mailer", lambda: "vmail").name == "mailer"


def test_the_owner_of_the_maildirs_comes_next(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(tmp_path, NOBODY, -1)
    owner = "nobody" if os.geteuid() == 0 else getpass.getuser()
    user = mail_user(settings(tmp_path, maildir=str(tmp_path)), "", lambda: "vmail")
    assert user.name == owner
    assert user.group


@pytest.mark.parametrize(("told", "name"), [("dovemail", "dovemail"), (str(NOBODY), "nobody")])
def test_without_a_name_dovecots_mail_user_is_taken(tmp_path: Path, told: str, name: str) -> None:
    assert mail_user(settings(tmp_path), "", lambda: told).name == name


def test_without_dovecot_the_configured_mail_user_is_taken(tmp_path: Path) -> None:
    configured = settings(tmp_path)
    assert mail_user(configured, "", silent).name == configured.home.mail_user


def test_a_configured_one_wins_over_what_is_there(tmp_path: Path) -> None:
    settings(tmp_path, maildir=str(tmp_path))
    path = tmp_path / "config.toml"
    path.write_text(path.read_text() + '[home]\nmail_user = "keeper"\n')
    assert mail_user(load(path, {}), "", lambda: "dovemail").name == "keeper"
    assert mail_user(load(path, {}), "mailer", lambda: "dovemail").name == "mailer"


def test_a_new_users_group_bears_its_name(tmp_path: Path) -> None:
    assert mail_user(settings(tmp_path), "not-there-yet", silent).group == "not-there-yet"


@pytest.mark.parametrize("wanted", ["root", "0"])
def test_the_mail_user_is_never_root(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(MisconfiguredError, match="root"):
        mail_user(settings(tmp_path), wanted, silent)


@pytest.mark.parametrize("wanted", ["a b", "x\nUser=root", "-x", "%u", "a;b"])
def test_a_name_is_a_name(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(UsageError, match="cannot be a user's name"):
        mail_user(settings(tmp_path), wanted, silent)


def test_a_number_without_a_name_is_explained(tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError, match="4123456"):
        mail_user(settings(tmp_path), "", lambda: "4123456")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_maildirs_of_several_users_are_refused(tmp_path: Path) -> None:
    for name in ("nobody", "daemon"):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, pwd.getpwnam(name).pw_uid, -1)
    configured = settings(tmp_path, maildir=str(tmp_path / "nobody"))
    path = tmp_path / "config.toml"
    more = mailbox("bert", tmp_path / "daemon")
    path.write_text(path.read_text() + more)
    with pytest.raises(MisconfiguredError, match="several users: daemon, nobody"):
        mail_user(load(path, {}), "", silent)
    assert mail_user(load(path, {}), "mailer", silent).name == "mailer"
    assert mail_user(configured, "", silent).name == "nobody"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_maildir_that_is_a_link_decides_nothing(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "elsewhere").mkdir()
    os.chown(tmp_path / "home", NOBODY, -1)
    os.chown(tmp_path / "elsewhere", pwd.getpwnam("daemon").pw_uid, -1)
    (tmp_path / "home/Maildir").symlink_to(tmp_path / "elsewhere")
    configured = settings(tmp_path, maildir=str(tmp_path / "home/Maildir"))
    assert mail_user(configured, "", lambda: "vmail").name == "vmail"
    (tmp_path / "home/way").symlink_to(tmp_path)
    configured = settings(tmp_path, maildir=str(tmp_path / "home/way/elsewhere"))
    assert mail_user(configured, "", lambda: "vmail").name == "vmail"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
@pytest.mark.parametrize("missing", ["", "/new/Maildir"])
def test_root_does_not_deliver_to_someone_else(tmp_path: Path, missing: str) -> None:
    (tmp_path / "home").mkdir()
    configured = settings(tmp_path, maildir=f"{tmp_path}/home{missing}")
    refuse_root(configured, "run")
    os.chown(tmp_path / "home", NOBODY, -1)
    with pytest.raises(MisconfiguredError, match="belongs to nobody") as refused:
        refuse_root(configured, "sync")
    command = f"sudo -u nobody postamt-sync sync --config {tmp_path}/config.toml"
    assert refused.value.hint.endswith(command)
    os.chown(tmp_path / "home", 4_123_456, -1)
    with pytest.raises(MisconfiguredError) as refused:
        refuse_root(configured, "run")
    assert "sudo -u '#4123456' postamt-sync run" in refused.value.hint


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
@pytest.mark.parametrize("verb", ["run", "sync", "restore", "rebuild"])
def test_every_verb_that_delivers_refuses_root(
    tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    os.chown(tmp_path, NOBODY, -1)
    settings(tmp_path, maildir=str(tmp_path / "Maildir"))
    config = tmp_path / "config.toml"
    assert run([verb, "--config", str(config)]) == ExitCode.CONFIGURATION
    told = " ".join(capsys.readouterr().err.split())
    assert f"sudo -u nobody postamt-sync {verb} --config {config}" in told
    assert not (tmp_path / "Maildir").exists()
