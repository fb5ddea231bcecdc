"""What Sieve sends is handed to what refuses as SES does, by the command that Dovecot runs."""

from __future__ import annotations

import io
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postamt_sync.bootstrap.policies import smtp_policy
from postamt_sync.bootstrap.sender_policy import sender_policy
from postamt_sync.cli.main import run
from postamt_sync.errors import ExitCode, MisconfiguredError
from postamt_sync.host.dovecot.passwd_files import with_sender
from postamt_sync.host.dovecot.sendmail import (
    SendmailAccounts,
    accounts_of,
    as_text,
    read_accounts,
    sendmail_file,
)
from postamt_sync.host.smtp_credentials import SmtpCredentials
from postamt_sync.mail.routing import Addressee
from tests.doubles.account import stack
from tests.doubles.ses_smtp import SesSmtp, SesUser
from tests.doubles.sns import certificate_pem, key_pem, private_key
from tests.support.household import configuration

HOUSEHOLD = SmtpCredentials("AKIAHOUSEHOLD0000000", "BHousehold/house+household0123456789abcdefg=")
BRUNO = SmtpCredentials("AKIABRUNOBRUNO000000", "BBruno/bruno+bruno0123456789abcdefghijklmno=")
OWN = Addressee("bruno", ("bruno@example.com",))
FAMILY = stack(smtp_senders=(Addressee("anna", ("example.com",)), OWN))
RELAY_CONF = (
    f"submission_relay_user = {HOUSEHOLD.user}\nsubmission_relay_password = {HOUSEHOLD.password}\n"
)
CONFIG = configuration(Path("/mail"), addresses={"anna": ["example.com"]})


Send = Callable[..., tuple[int, str]]


def test_who_sends_as_whom_is_read_off_dovecots_own_files(tmp_path: Path) -> None:
    lines = with_sender("# a comment\n", "bruno", BRUNO.user, BRUNO.password)
    accounts = accounts_of(RELAY_CONF, lines, "ses.example", 587)
    assert accounts == SendmailAccounts("ses.example", 587, HOUSEHOLD, {"bruno": BRUNO})
    (tmp_path / "file").write_text(as_text(accounts))
    assert read_accounts(tmp_path / "file") == accounts
    assert accounts_of("", "", "ses.example", 587) == SendmailAccounts("ses.example", 587)


@pytest.mark.parametrize("name", ["household", "server", "default"])
def test_a_mailbox_may_be_called_anything(tmp_path: Path, name: str) -> None:
    accounts = SendmailAccounts("ses.example", 587, HOUSEHOLD, {name: BRUNO})
    (tmp_path / "file").write_text(as_text(accounts))
    assert read_accounts(tmp_path / "file").of(name) == BRUNO
    assert read_accounts(tmp_path / "file").of("x") == HOUSEHOLD


@pytest.mark.parametrize("text", ["", "x", "[server]\nhost = h\n", "[server]\nhost=h\nport=x\n"])
def test_what_is_no_such_file_is_told_with_the_command_that_makes_it(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(MisconfiguredError, match="dovecot relay"):
        read_accounts(tmp_path / "file")
    with pytest.raises(MisconfiguredError, match="dovecot relay"):
        read_accounts(tmp_path / "none")


@pytest.fixture
def ses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SesSmtp]:
    """A box whose Dovecot has been given credentials, and SES."""
    (tmp_path / "chain.pem").write_bytes(certificate_pem(private_key(), name="localhost"))
    (tmp_path / "key.pem").write_bytes(key_pem(private_key()))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "chain.pem"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    (tmp_path / "config.toml").write_text(CONFIG)
    users = [
        SesUser(HOUSEHOLD.user, HOUSEHOLD.password, lambda: smtp_policy(stack())),
        SesUser(BRUNO.user, BRUNO.password, lambda: sender_policy(FAMILY, OWN)),
    ]
    with SesSmtp(tls, users) as running:
        accounts = SendmailAccounts("localhost", running.port, HOUSEHOLD, {"bruno": BRUNO})
        sendmail_file(tmp_path).write_text(as_text(accounts))
        yield running


@pytest.fixture
def sends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Send:
    def send(sender: str, header: str, body: str = "I am away.\n") -> tuple[int, str]:
        mail = f"From: {header}\nTo: clara@else.example\n\n{body}".encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(mail)))
        where = ("--directory", str(tmp_path), "--config", str(tmp_path / "config.toml"))
        asked = ["dovecot", "sendmail", *where, "-i", "-f", sender, "--", "clara@else.example"]
        code = run(asked)
        return code, " ".join(capsys.readouterr().err.split())

    return send


def test_each_sends_as_its_own_user_or_as_the_household(ses: SesSmtp, sends: Send) -> None:
    assert sends("bruno@example.com", "bruno@example.com") == (ExitCode.OK, "")
    assert sends("bruno+shop@example.com", "bruno+shop@example.com") == (ExitCode.OK, "")
    assert sends("anna@example.com", "anna@example.com") == (ExitCode.OK, "")
    assert [taken.user for taken in ses.taken] == [BRUNO.user, BRUNO.user, HOUSEHOLD.user]


def test_a_mailboxs_name_stands_for_its_address(ses: SesSmtp, sends: Send) -> None:
    """Mail for a mailbox with whole domains alone comes to Sieve under its name."""
    assert sends("anna", "info@example.com") == (ExitCode.OK, "")
    assert sends("bruno", "bruno@example.com") == (ExitCode.OK, "")
    assert [(t.mail_from, t.user) for t in ses.taken] == [
        ("anna@example.com", HOUSEHOLD.user),
        ("bruno@example.com", BRUNO.user),
    ]


def test_the_mail_arrives_as_it_was_given(ses: SesSmtp, sends: Send) -> None:
    assert sends("anna@example.com", "anna@example.com", "one\n.\n..two\r\nthree\n")[0] == 0
    (taken,) = ses.taken
    assert taken.content.endswith(b"\r\n\r\none\r\n.\r\n..two\r\nthree\r\n")


@pytest.mark.parametrize(
    ("sender", "header", "said"),
    [
        ("<>", "anna@example.com", "501 Invalid MAIL FROM"),
        ("bruno@example.com", "anna@example.com", "554 Access denied"),
        ("clara@else.example", "clara@else.example", "554 Message rejected: Email address is not"),
    ],
)
def test_what_ses_refuses_is_told_in_its_words(
    ses: SesSmtp,
    sends: Send,
    sender: str,
    header: str,
    said: str,
) -> None:
    code, words = sends(sender, header)
    assert code == ExitCode.CONFIGURATION
    assert said in words
    assert "redirects" in words
    assert ses.taken == []


def test_a_password_that_ses_does_not_take(ses: SesSmtp, sends: Send, tmp_path: Path) -> None:
    path = sendmail_file(tmp_path)
    path.write_text(path.read_text().replace(BRUNO.password, "B" + "x" * 43))
    code, words = sends("bruno@example.com", "bruno@example.com")
    assert (code, "535" in words, "x" * 43 in words) == (ExitCode.CONFIGURATION, True, False)


def test_a_server_that_is_not_there_may_be_there_later(ses: SesSmtp, sends: Send) -> None:
    ses.__exit__()
    try:
        code, _ = sends("anna@example.com", "anna@example.com")
    finally:
        ses.__enter__()
    assert code == ExitCode.TRY_LATER
