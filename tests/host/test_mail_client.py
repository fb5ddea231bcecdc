from __future__ import annotations

from typing import Any

import pytest

from postamt_sync.aws.smtp import Tls
from postamt_sync.config import Mailbox, Settings
from postamt_sync.errors import MisconfiguredError, UsageError
from postamt_sync.host.mail_client import Client, address_of, client_of, domains_of


def settings(*addresses: str, region: str = "eu-west-1", **options: Any) -> Settings:
    mailbox = {"name": "anna", "maildir": "/m", "addresses": addresses, "default": True}
    return Settings(aws={"region": region}, bucket={"name": "mail"}, mailboxes=[mailbox], **options)


def client(given: Settings, *, submission: bool = False, host: str = "mail.example.com") -> Client:
    (mailbox,) = given.mailboxes
    return client_of(given, mailbox, host=host, submission=submission, smtp_user="AKIA0000")


@pytest.mark.parametrize(
    ("addresses", "address", "login"),
    [
        (["example.org", "Anna@example.com", "a@example.org"], *["Anna@example.com"] * 2),
        (["example.org", ".example.com"], "anna@example.org", "anna"),
        (["o'hara@example.com"], "o'hara@example.com", "anna"),
        ([".example.com"], "anna@stack.example", "anna"),
        ([], "anna@stack.example", "anna"),
    ],
)
def test_address_and_login_come_from_the_configured_addresses(
    addresses: list[str], address: str, login: str
) -> None:
    found = client(settings(*addresses, stack={"domains": ["stack.example"]}))
    assert found.address == address
    assert found.reading.user == login.lower()


def test_a_mailbox_that_nothing_can_be_written_to_has_no_address() -> None:
    other = Mailbox(name="bruno", maildir="/b", addresses=(".example.com",))
    assert address_of(settings(stack={"domains": ["stack.example"]}), other) == ""


def test_reading_is_at_home_with_tls_from_the_start() -> None:
    reading = client(settings()).reading
    assert (reading.host, reading.port, reading.tls) == ("mail.example.com", 993, Tls.IMPLICIT)


def test_sending_is_at_ses_with_its_odd_user_name() -> None:
    found = client(settings())
    assert [(s.host, s.port, s.tls, s.user) for s in found.sending] == [
        ("email-smtp.eu-west-1.amazonaws.com", 465, Tls.IMPLICIT, "AKIA0000"),
        ("email-smtp.eu-west-1.amazonaws.com", 587, Tls.STARTTLS, "AKIA0000"),
    ]
    assert not found.one_password


def test_or_at_home_with_the_login_of_reading() -> None:
    found = client(settings("anna@example.com"), submission=True)
    assert {(s.host, s.user) for s in found.sending} == {("mail.example.com", "anna@example.com")}
    assert [s.port for s in found.sending] == [465, 587]
    assert found.one_password


def test_without_a_host_nothing_can_be_said() -> None:
    with pytest.raises(UsageError, match="--host"):
        client(settings(), host="")


def test_a_region_where_ses_has_no_smtp() -> None:
    with pytest.raises(MisconfiguredError, match="eu-south-1"):
        client(settings(region="eu-south-1"))


def test_domains_of_the_household() -> None:
    found = domains_of(settings("a@b.example", ".c.example", "d.example", "e@b.example"))
    assert found == ("b.example", "d.example")
