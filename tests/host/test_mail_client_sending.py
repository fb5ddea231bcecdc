"""What the settings say is true: real SMTP with them, to what speaks as SES does."""

from __future__ import annotations

import json
import smtplib
import socket
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.aws.smtp import smtp_password
from postamt_sync.bootstrap.policies import smtp_policy
from postamt_sync.cli.main import run
from tests.doubles.account import stack
from tests.doubles.ses_smtp import SesSmtp, SesUser
from tests.doubles.sns import certificate_pem, key_pem, private_key

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
REGION = "eu-west-1"
HOST = f"email-smtp.{REGION}.amazonaws.com"
PASSWORD = smtp_password("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", REGION)


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    path = tmp_path / "chain.pem"
    path.write_bytes(certificate_pem(private_key(), name=HOST))
    return path


@pytest.fixture
def ses(chain: Path) -> Iterator[SesSmtp]:
    key = chain.with_name("key.pem")
    key.write_bytes(key_pem(private_key()))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(chain, key)
    user = SesUser("AKIAIOSFODNN7EXAMPLE", PASSWORD, lambda: smtp_policy(stack()))
    with SesSmtp(tls, [user]) as ses:
        yield ses


class Client(smtplib.SMTP):
    """A mail client whose DNS leads to this machine."""

    def __init__(self, host: str, port: int) -> None:
        self._there = port
        super().__init__(host, port, timeout=30)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), timeout)


def settings(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(["client", "--format", "json", "--config", str(EXAMPLE)]) == 0
    (client,) = json.loads(capsys.readouterr().out)
    (starttls,) = (server for server in client["sending"] if server["tls"] == "STARTTLS")
    return {**starttls, "address": client["address"]}


def letter(sender: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, "friend@else.example", "Hello"
    mail.set_content("...\n.\nfrom home\n")
    return mail


def test_a_mail_leaves_with_these_settings(
    capsys: pytest.CaptureFixture[str], ses: SesSmtp, chain: Path
) -> None:
    typed = settings(capsys)
    assert typed["port"] == 587
    with Client(typed["host"], ses.port) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(chain)))
        client.login(typed["user"], PASSWORD)
        client.send_message(letter(typed["address"]))
    (taken,) = ses.taken
    assert (taken.mail_from, taken.recipients) == ("thomas@example.com", ["friend@else.example"])
    assert taken.content.endswith(b"...\r\n.\r\nfrom home\r\n")


def test_ses_refuses_plaintext_wrong_logins_and_foreign_senders(
    capsys: pytest.CaptureFixture[str], ses: SesSmtp, chain: Path
) -> None:
    typed = settings(capsys)
    context = ssl.create_default_context(cafile=str(chain))
    with Client(typed["host"], ses.port) as client:
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            client.send_message(letter(typed["address"]))
        assert refused.value.smtp_code == 530
        client.starttls(context=context)
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused_login:
            client.login(typed["address"], PASSWORD)  # the address is no user name at SES
        assert refused_login.value.smtp_code == 535
    with Client(typed["host"], ses.port) as client:
        client.starttls(context=context)
        client.login(typed["user"], PASSWORD)
        with pytest.raises(smtplib.SMTPDataError, match="not verified"):
            client.send_message(letter("thomas@else.example"))
        with pytest.raises(smtplib.SMTPDataError, match="Access denied"):
            client.send_message(letter("Thomas@Example.com"))  # IAM minds case
    assert ses.taken == []
