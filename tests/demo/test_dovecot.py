import os
import pwd
import stat
import tempfile
from pathlib import Path

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from postamt_sync.demo.dovecot import PrivateDovecot, Runner, configuration
from postamt_sync.errors import TryLaterError, UsageError
from tests.dovecot import PASSWORD, mail_client, needs_dovecot, serving

MAIL = b"From: a@sender.example\r\nSubject: x\r\n\r\nraw \xff \xc3\xa4 and a bare \r in it\r\n"
NOBODY = Runner(65534, 65534, "nobody", "nogroup")


def maildir_with(root: Path, content: bytes) -> Path:
    for name in ("tmp", "new", "cur"):
        (root / name).mkdir(parents=True, mode=0o700)
    mail = root / "new" / "1700000000.M1.test"
    mail.write_bytes(content)
    mail.chmod(0o600)
    return root


class TestServing:
    pytestmark = needs_dovecot

    def test_a_mail_comes_out_byte_for_byte(self, tmp_path: Path) -> None:
        maildir = maildir_with(tmp_path / "Maildir", MAIL)
        with serving(anna=maildir) as imap, mail_client(imap, "anna") as client:
            client.select_folder("INBOX")
            assert client.fetch(1, ["BODY.PEEK[]"])[1][b"BODY[]"] == MAIL

    def test_a_client_may_flag_move_and_expunge(self, tmp_path: Path) -> None:
        maildir = maildir_with(tmp_path / "Maildir", MAIL)
        with serving(anna=maildir) as imap, mail_client(imap, "anna") as client:
            client.select_folder("INBOX")
            client.add_flags(1, [b"\\Seen"])
            client.create_folder("Later")
            client.move(1, "Later")
            client.select_folder("Later")
            assert client.fetch(client.search(), ["FLAGS"])[1][b"FLAGS"] == (b"\\Seen", b"\\Recent")
            client.delete_messages(client.search())
            client.expunge()
            assert client.search() == []
        assert list((maildir / "new").iterdir()) == []

    def test_each_login_sees_its_own_mailbox(self, tmp_path: Path) -> None:
        anna = maildir_with(tmp_path / "anna", MAIL)
        bruno = maildir_with(tmp_path / "bruno", b"Subject: for Bruno\r\n\r\n")
        with serving(anna=anna, bruno=bruno) as imap:
            for login, size in (("anna", len(MAIL)), ("bruno", 22)):
                with mail_client(imap, login) as client:
                    client.select_folder("INBOX")
                    assert client.fetch(1, ["RFC822.SIZE"])[1][b"RFC822.SIZE"] == size

    def test_a_wrong_password_opens_nothing(self, tmp_path: Path) -> None:
        maildir = maildir_with(tmp_path / "Maildir", MAIL)
        with (
            serving(anna=maildir) as imap,
            IMAPClient(imap.host, imap.port, ssl=False) as client,
            pytest.raises(LoginError),
        ):
            client.login("anna", PASSWORD + "!")

    def test_it_never_runs_as_root(self, tmp_path: Path) -> None:
        maildir = maildir_with(tmp_path / "Maildir", MAIL)
        with serving(anna=maildir) as imap:
            owner = Path(imap.log.parent / "run" / "master").stat().st_uid
            expected = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
            assert owner == expected

    def test_nothing_is_left_running(self, tmp_path: Path) -> None:
        with serving(anna=maildir_with(tmp_path / "Maildir", MAIL)) as imap:
            port = imap.port
        with pytest.raises(ConnectionRefusedError):
            IMAPClient("127.0.0.1", port, ssl=False)

    def test_a_start_that_fails_names_the_log(self, tmp_path: Path) -> None:
        maildir = maildir_with(tmp_path / "Maildir", MAIL)
        with tempfile.TemporaryDirectory(prefix="dc") as base:
            (Path(base) / "run").write_text("in the way of Dovecot's own directory")
            with (
                pytest.raises(TryLaterError, match=r"dovecot\.log"),
                PrivateDovecot(Path(base), {"anna": maildir}, PASSWORD),
            ):
                pass

    def test_the_password_is_for_dovecots_eyes_only(self, tmp_path: Path) -> None:
        with serving(anna=maildir_with(tmp_path / "Maildir", MAIL)) as imap:
            mode = (imap.log.parent / "users").stat().st_mode
            assert stat.S_IMODE(mode) == 0o600

    def test_a_long_path_is_refused_with_its_reason(self, tmp_path: Path) -> None:
        base = tmp_path / ("long" * 20)
        with pytest.raises(UsageError, match="too long"), PrivateDovecot(base, {}, PASSWORD):
            pass


def test_both_languages_are_written() -> None:
    old = configuration((2, 3, 19, 1), Path("/tmp/x"), 1143, NOBODY)
    assert old.startswith("listen = 127.0.0.1\n")
    assert "mail_location = maildir:~/Maildir" in old
    assert "dovecot_config_version" not in old
    new = configuration((2, 4, 1), Path("/tmp/x"), 1143, NOBODY)
    assert new.startswith("dovecot_config_version = 2.4.1\ndovecot_storage_version = 2.4.1\n")
    assert "mail_path = ~/Maildir" in new
    assert "mail_location" not in new
    for text in (old, new):
        assert "port = 1143" in text
        assert (
            "passwd_file_path = /tmp/x/users" in text or "username_format=%u /tmp/x/users" in text
        )
