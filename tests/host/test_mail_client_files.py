from __future__ import annotations

import plistlib
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from postamt_sync.aws.smtp import Tls
from postamt_sync.host.mail_client import Client, Server, apple_profile, autoconfig

HOME = "mail.example.com"
SES = "email-smtp.eu-west-1.amazonaws.com"
CLIENT = Client(
    "anna",
    "anna&bruno@example.com",
    Server(HOME, 993, Tls.IMPLICIT, "anna@example.com"),
    (Server(SES, 465, Tls.IMPLICIT, "AKIA0000"), Server(SES, 587, Tls.STARTTLS, "AKIA0000")),
    one_password=False,
)
AT_HOME = replace(
    CLIENT, sending=(Server(HOME, 465, Tls.IMPLICIT, "anna@example.com"),), one_password=True
)


def servers(text: str, tag: str) -> list[tuple[str | None, ...]]:
    root = ET.fromstring(text)
    names = ("hostname", "port", "socketType", "username", "authentication")
    return [tuple(s.findtext(name) for name in names) for s in root.iter(tag)]


def test_autoconfig_for_reading_at_home_and_sending_at_ses() -> None:
    text = autoconfig(CLIENT, ("example.com", "example.org"))
    root = ET.fromstring(text)
    assert (root.tag, root.get("version")) == ("clientConfig", "1.1")
    assert [d.text for d in root.iter("domain")] == ["example.com", "example.org"]
    cleartext = "password-cleartext"  # inside TLS, that is
    assert servers(text, "incomingServer") == [(HOME, "993", "SSL", "%EMAILADDRESS%", cleartext)]
    assert servers(text, "outgoingServer") == [
        (SES, "465", "SSL", "AKIA0000", cleartext),
        (SES, "587", "STARTTLS", "AKIA0000", cleartext),
    ]


def test_autoconfig_for_sending_at_home() -> None:
    (server,) = servers(autoconfig(AT_HOME, ("example.com",)), "outgoingServer")
    assert server[:4] == (HOME, "465", "SSL", "%EMAILADDRESS%")


@pytest.mark.parametrize("client", [CLIENT, AT_HOME])
def test_the_profile_has_what_apple_asks_for(client: Client) -> None:
    profile = plistlib.loads(apple_profile(client))
    (account,) = profile["PayloadContent"]
    assert profile["PayloadType"] == "Configuration"
    assert account["PayloadType"] == "com.apple.mail.managed"
    assert account["EmailAddress"] == "anna&bruno@example.com"
    for way, server in (("Incoming", client.reading), ("Outgoing", client.sending[0])):
        assert account[f"{way}MailServerHostName"] == server.host
        assert account[f"{way}MailServerPortNumber"] == server.port
        assert account[f"{way}MailServerUsername"] == server.user
        assert account[f"{way}MailServerUseSSL"] is True
    assert account["OutgoingPasswordSameAsIncomingPassword"] is client.one_password
    assert not [key for key in account if key.endswith("Password") and key.startswith("In")]


def test_an_unknown_user_is_left_for_the_device_to_ask() -> None:
    client = replace(CLIENT, sending=(Server(SES, 465, Tls.IMPLICIT, ""),))
    (account,) = plistlib.loads(apple_profile(client))["PayloadContent"]
    assert "OutgoingMailServerUsername" not in account


def test_a_later_profile_replaces_the_earlier_of_the_same_mailbox_only() -> None:
    def known_by(client: Client) -> set[str]:
        profile = plistlib.loads(apple_profile(client))
        parts = [profile, *profile["PayloadContent"]]
        return {part[key] for part in parts for key in ("PayloadUUID", "PayloadIdentifier")}

    assert known_by(CLIENT) == known_by(AT_HOME)
    assert len(known_by(CLIENT)) == 4
    assert not known_by(CLIENT) & known_by(replace(CLIENT, mailbox="bruno"))
