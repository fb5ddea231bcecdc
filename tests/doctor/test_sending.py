"""SES's SMTP server, as far as the round trip needs it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from postamt_sync.aws.smtp import SmtpServer
from postamt_sync.bootstrap.policies import smtp_policy
from postamt_sync.doctor.sending import BySmtp
from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.host.smtp_credentials import SmtpCredentials
from tests.doubles.account import stack
from tests.doubles.proxy import authority_and_leaf
from tests.doubles.ses_smtp import SesSmtp, SesUser
from tests.doubles.sns import key_pem, private_key

USER, PASSWORD = "AKIAIOSFODNN7EXAMPLE", "B" * 44
ANNA = "anna@example.com"


@pytest.fixture
def ses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SesSmtp]:
    root, leaf = authority_and_leaf("localhost")
    for name, content in (("root", root), ("leaf", leaf), ("key", key_pem(private_key(9)))):
        (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "leaf", tmp_path / "key")
    with SesSmtp(tls, [SesUser(USER, PASSWORD, lambda: smtp_policy(stack()))]) as ses:
        yield ses


def mail(address: str = ANNA) -> EmailMessage:
    letter = EmailMessage()
    letter["From"] = letter["To"] = address
    letter.set_content("a token")
    return letter


def sender(ses: SesSmtp, password: str = PASSWORD) -> BySmtp:
    server = SmtpServer("localhost", starttls=(ses.port,))
    return BySmtp(server, SmtpCredentials(USER, password))


def test_it_goes_as_a_mail_client_sends_it(ses: SesSmtp) -> None:
    sender(ses)(mail(), ANNA)
    (taken,) = ses.taken
    assert (taken.user, taken.mail_from, taken.recipients) == (USER, ANNA, [ANNA])
    assert b"a token" in taken.content


def test_what_the_server_says_is_told(ses: SesSmtp) -> None:
    with pytest.raises(MisconfiguredError, match="535") as refused:
        sender(ses, "C" * 44)(mail(), ANNA)
    assert "credentials" in refused.value.hint
    assert "C" * 44 not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "said", "hint"),
    [
        ("Anna@Example.com", "554 Access denied", "bootstrap apply"),
        ("anna@elsewhere.example", "is not verified", "bootstrap production-access"),
    ],
)
def test_a_refusal_for_good_names_the_way_out(
    ses: SesSmtp, address: str, said: str, hint: str
) -> None:
    with pytest.raises(MisconfiguredError, match=said) as refused:
        sender(ses)(mail(address), address)
    assert hint in refused.value.hint
    assert ses.taken == []


def test_the_password_is_shown_to_nobody_who_is_not_believed(
    ses: SesSmtp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(TryLaterError, match="certificate"):
        sender(ses)(mail(), ANNA)
    assert ses.taken == []
