"""Credentials lie in files that nobody else reads, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import botocore.session
import pytest

from postamt_sync.aws.smtp import smtp_password
from postamt_sync.bootstrap.key_file import SmtpKeyFile, SyncKeyFile, replace_file
from postamt_sync.errors import TryLaterError
from tests.doubles.account import stack
from tests.doubles.moto import REGION

ANSWER = {"AccessKey": {"AccessKeyId": "AKIAEXAMPLE", "SecretAccessKey": "se/cr%et+%(x)s="}}


@pytest.fixture(params=[0o000, 0o077], ids=["umask 000", "umask 077"])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_umask")
def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    file = SyncKeyFile(tmp_path / "new" / "credentials", "postamt-sync")
    file.on_response(ANSWER)
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.parent.stat().st_mode & 0o777 == 0o700


def test_the_aws_sdk_reads_it(tmp_path: Path) -> None:
    file = SyncKeyFile(tmp_path / "credentials", "postamt-sync", "arn:aws:iam::1:user/a")
    file.on_response(ANSWER)
    assert file.look().owner == "arn:aws:iam::1:user/a"
    core = botocore.session.Session()
    core.set_config_variable("credentials_file", str(file.path))
    core.set_config_variable("profile", "default")
    found = boto3.Session(botocore_session=core).get_credentials()
    assert found is not None
    assert found.access_key == file.key_id() == "AKIAEXAMPLE"
    assert found.secret_key == "se/cr%et+%(x)s="


def test_a_mail_client_s_file_has_the_password_and_not_the_secret(tmp_path: Path) -> None:
    file = SmtpKeyFile(tmp_path / "smtp-credentials", stack())
    file.on_response(ANSWER)
    assert "se/cr%et" not in file.path.read_text()
    assert file.key_id() == "AKIAEXAMPLE"
    assert file.look().owner == "arn:aws:iam::123456789012:user/postamt-smtp"
    assert file.read() == {
        "iam_user": "arn:aws:iam::123456789012:user/postamt-smtp",
        "server": f"email-smtp.{REGION}.amazonaws.com",
        "port": "465",
        "security": "TLS",
        "port_starttls": "587",
        "username": "AKIAEXAMPLE",
        "password": smtp_password("se/cr%et+%(x)s=", REGION),
    }


@pytest.mark.parametrize("content", [b"", b"nothing", b"[other]\na = b\n", b"\xff\xfe", b"[smtp\n"])
def test_a_file_that_cannot_be_read_holds_no_key(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert SyncKeyFile(path, "postamt-sync").key_id() == ""
    assert SmtpKeyFile(path, stack()).key_id() == ""
    assert SmtpKeyFile(path, stack()).read() == {}
    assert SyncKeyFile(path, "postamt-sync").look().empty == (not content)


def test_what_is_no_small_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_text("[default]\naws_access_key_id = A\n" + "#" * 70_000)
    (tmp_path / "directory").mkdir()
    for path in (*tmp_path.iterdir(), Path("/dev/zero")):
        held = SyncKeyFile(path, "postamt-sync").look()
        assert held.problem, path
        assert not held.empty, path


def test_what_a_write_that_was_cut_off_left_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    beside = tmp_path / ".credentials.new"
    beside.write_text("half of")
    beside.chmod(0o644)
    replace_file(path, "all of it\n")
    assert path.read_text() == "all of it\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert not beside.exists()


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("theirs")
    path = tmp_path / "credentials"
    path.symlink_to(elsewhere)
    replace_file(path, "ours")
    assert elsewhere.read_text() == "theirs"
    assert not path.is_symlink()


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TryLaterError, match="cannot be written: Not a directory") as raised:
        replace_file(tmp_path / "file" / "credentials", "text")
    assert "--out" in raised.value.hint
