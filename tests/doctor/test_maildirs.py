from __future__ import annotations

import os
import pwd
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.config import Mailbox
from postamt_sync.delivery.disk import Disk
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.doctor.maildirs import DovecotMailboxCheck, LmtpCheck, MaildirCheck, doveadm_user
from postamt_sync.errors import TryLaterError
from tests.host.served import Served

ME = pwd.getpwuid(os.geteuid()).pw_name


def one(check: Any) -> Finding:
    (found,) = check.look()
    return found


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    Maildir(tmp_path / "Maildir", Disk()).create()
    return Mailbox(name="anna", maildir=tmp_path / "Maildir")


def test_one_of_our_own(mailbox: Mailbox) -> None:
    assert one(MaildirCheck(mailbox, ME, lambda _: False)).outcome is Severity.OK


def test_one_that_belongs_to_someone_else(mailbox: Mailbox) -> None:
    user = "nobody" if ME == "root" else "root"
    found = one(MaildirCheck(mailbox, user, lambda _: False))
    assert found.outcome is Severity.FAILURE
    assert f"chown -R {user} {mailbox.maildir}" in found.remedy


def test_one_on_a_disk_that_is_not_mounted(tmp_path: Path) -> None:
    mailbox = Mailbox(name="anna", maildir=tmp_path / "gone")
    assert "Mount" in one(MaildirCheck(mailbox, ME, lambda _: True)).remedy
    assert one(MaildirCheck(mailbox, ME, lambda _: False)).outcome is Severity.OK


def test_one_on_a_read_only_disk(read_only: Path) -> None:
    found = one(MaildirCheck(Mailbox(name="anna", maildir=read_only), ME, lambda _: False))
    assert found.outcome is Severity.FAILURE
    assert "read-only" in found.remedy


@pytest.mark.parametrize(
    ("greeting", "outcome"),
    [(b"220 home LMTP\r\n", Severity.OK), (b"* OK IMAP\r\n", Severity.FAILURE)],
)
def test_one_that_is_handed_over(
    mailbox: Mailbox, tmp_path: Path, greeting: bytes, outcome: Severity
) -> None:
    path = tmp_path / "lmtp"
    assert "Start Dovecot" in one(LmtpCheck(mailbox, str(path))).remedy
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def greet() -> None:
            with server.accept()[0] as connection:
                connection.sendall(greeting)

        thread = threading.Thread(target=greet)
        thread.start()
        assert one(LmtpCheck(mailbox, str(path))).outcome is outcome
        thread.join()


@pytest.mark.slow
def test_dovecot_reads_where_we_deliver(home: Served) -> None:
    """Both Dovecots, as `postamt-sync dovecot` set them up."""

    def ask(name: str) -> str | None:
        conf = str(home.directory / "dovecot.conf")
        return doveadm_user(name, [*home.machine.inside(home.base), "doveadm", "-c", conf])

    anna, bruno = home.settings.mailboxes
    assert one(DovecotMailboxCheck(anna, ask)).outcome is Severity.OK
    elsewhere = anna.model_copy(update={"maildir": bruno.maildir})
    found = one(DovecotMailboxCheck(elsewhere, ask))
    assert found.outcome is Severity.FAILURE
    assert str(anna.maildir) in found.words
    assert "postamt-sync dovecot --write" in found.remedy
    stranger = anna.model_copy(update={"name": "nobody-of-ours"})
    with pytest.raises(Exception, match="knows no mailbox"):
        one(DovecotMailboxCheck(stranger, ask))


def test_where_dovecot_cannot_be_asked_it_is_a_warning(mailbox: Mailbox) -> None:
    def refuse(_: str) -> str | None:
        raise PermissionError

    for user in (refuse, lambda _: None):
        found = one(DovecotMailboxCheck(mailbox, user))
        assert found.outcome is Severity.WARNING
        assert found.remedy


def ends_with(code: int) -> tuple[str, ...]:
    """Return a doveadm that ends like this, whatever it is asked."""
    return ("sh", "-c", f"echo permission denied, no such user >&2; exit {code}", "doveadm")


def test_that_a_mailbox_is_unknown_is_told_by_the_exit_code(tmp_path: Path) -> None:
    with pytest.raises(TryLaterError, match="knows no mailbox"):
        doveadm_user("anna", ends_with(67), tmp_path / "nobody")


def test_that_dovecot_does_not_run_is_told_by_its_socket(tmp_path: Path) -> None:
    assert doveadm_user("anna", ends_with(75), tmp_path / "nobody") is None
    left = tmp_path / "left"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(left))
    assert doveadm_user("anna", ends_with(75), left) is None


def test_what_dovecot_says_otherwise_is_passed_on(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as auth:
        auth.bind(str(tmp_path / "auth"))
        auth.listen()
        with pytest.raises(TryLaterError, match="no such user"):
            doveadm_user("anna", ends_with(75), tmp_path / "auth")
