"""Who the service runs as."""

from __future__ import annotations

import getpass
import os
import pwd
from pathlib import Path

import pytest

from postamt_sync.config import load
from postamt_sync.errors import MisconfiguredError, UsageError
from postamt_sync.host.service.user import mail_user
from tests.host.service.test_units import ANNA, settings

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
def test_else_dovecot_is_asked(tmp_path: Path, told: str, name: str) -> None:
    assert mail_user(settings(tmp_path), "", lambda: told).name == name


def test_else_it_is_the_usual_one(tmp_path: Path) -> None:
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
def test_never_root(tmp_path: Path, wanted: str) -> None:
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
    more = ANNA.format(maildir=tmp_path / "daemon").replace("anna", "bert")
    path.write_text(f"{path.read_text()}default = true\n{more}addresses = ['b@example.com']\n")
    with pytest.raises(MisconfiguredError, match="several users: daemon, nobody"):
        mail_user(load(path, {}), "", silent)
    assert mail_user(load(path, {}), "mailer", silent).name == "mailer"
    assert mail_user(configured, "", silent).name == "nobody"
