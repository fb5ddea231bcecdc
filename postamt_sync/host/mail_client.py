"""The settings of mail clients, to be typed by a person or read from a file.

The files are Mozilla's autoconfig
(https://www.bucksch.org/1/projects/thunderbird/autoconfiguration/config-file-format.html) and
Apple's configuration profile ("Device Management", com.apple.mail.managed). Neither contains a
password.
"""

from __future__ import annotations

import plistlib
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from postamt_sync.aws.smtp import Tls, smtp_server
from postamt_sync.config import Mailbox, Settings
from postamt_sync.errors import MisconfiguredError, UsageError
from postamt_sync.host.logins import logins_of

IMAPS = 993
SUBMISSIONS = 465
"""Dovecot's port for sending over TLS (RFC 8314, section 3.3)."""
SUBMISSION = 587


TYPED_ADDRESS = "%EMAILADDRESS%"
"""Autoconfig's placeholder for the address that the person typed."""

_PLAIN = re.compile(r"[a-z0-9._@-]+", re.ASCII)

_SOCKET = {Tls.IMPLICIT: "SSL", Tls.STARTTLS: "STARTTLS"}

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "postamt-sync.invalid")


@dataclass(frozen=True, slots=True)
class Server:
    """One way to connect to a server. `user` is empty if we do not know it."""

    host: str
    port: int
    tls: Tls
    user: str


@dataclass(frozen=True, slots=True)
class Client:
    """The settings of a mail client for one mailbox."""

    mailbox: str
    address: str
    """The address to send from; empty if the mailbox has none of its own."""
    reading: Server
    sending: tuple[Server, ...]
    """Alternative ways to the same server, the best first."""
    one_password: bool
    """Whether sending uses the same password as reading."""


def client_of(
    settings: Settings, mailbox: Mailbox, *, host: str, submission: bool, smtp_user: str
) -> Client:
    """Return the settings for one mailbox.

    `host` is Dovecot's name, `submission` whether clients send through it too, `smtp_user` the
    user name at SES if they do not. Raises UsageError without a host, and MisconfiguredError in a
    region where SES has no SMTP endpoint.
    """
    if not host:
        raise UsageError(
            "It is not known under which name mail clients reach Dovecot.",
            "Set imap_host in the table [home], or give it with: --host mail.example.com",
        )
    # An address with unusual characters is harder to type and store than the mailbox's name.
    login = next(filter(_PLAIN.fullmatch, logins_of(mailbox)), mailbox.name)
    return Client(
        mailbox=mailbox.name,
        address=address_of(settings, mailbox),
        reading=Server(host, IMAPS, Tls.IMPLICIT, login),
        sending=_at_home(host, login) if submission else _at_ses(settings.aws.region, smtp_user),
        one_password=submission,
    )


def address_of(settings: Settings, mailbox: Mailbox) -> str:
    """Return the address to send from: the first complete one, else one in a domain of theirs."""
    for address in mailbox.addresses:
        if "@" in address:
            return address
    domains = [address for address in mailbox.addresses if not address.startswith(".")]
    if mailbox.default:
        domains += settings.stack.domains
    return f"{mailbox.name}@{domains[0]}" if domains else ""


def domains_of(settings: Settings) -> tuple[str, ...]:
    """Return the domains of all addresses, in order of configuration, without duplicates."""
    return tuple(dict.fromkeys(_domains(settings)))


def _domains(settings: Settings) -> Iterator[str]:
    yield from settings.stack.domains
    for mailbox in settings.mailboxes:
        for address in mailbox.addresses:
            domain = address.rpartition("@")[2]
            if not domain.startswith("."):
                yield domain


def _at_home(host: str, login: str) -> tuple[Server, ...]:
    return (
        Server(host, SUBMISSIONS, Tls.IMPLICIT, login),
        Server(host, SUBMISSION, Tls.STARTTLS, login),
    )


def _at_ses(region: str, user: str) -> tuple[Server, ...]:
    server = smtp_server(region)
    if server is None:
        raise MisconfiguredError(
            f"SES has no SMTP endpoint in {region}, so no mail client can send through it.",
            "Use another region for sending; reading does not depend on it.",
        )
    return (
        Server(server.host, server.implicit_tls[0], Tls.IMPLICIT, user),
        Server(server.host, server.starttls[0], Tls.STARTTLS, user),
    )


def autoconfig(client: Client, domains: Sequence[str]) -> str:
    """Return one file for the whole household: people log in with the address that they type.

    Only for sending directly through SES do all of them have the same user name.
    """
    root = ET.Element("clientConfig", version="1.1")
    provider = ET.SubElement(root, "emailProvider", id=domains[0])
    for domain in domains:
        ET.SubElement(provider, "domain").text = domain
    ET.SubElement(provider, "displayName").text = domains[0]
    ET.SubElement(provider, "displayShortName").text = domains[0]
    _server(provider, "incomingServer", "imap", client.reading, TYPED_ADDRESS)
    for server in client.sending:
        user = TYPED_ADDRESS if client.one_password else server.user
        _server(provider, "outgoingServer", "smtp", server, user)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def apple_profile(client: Client) -> bytes:
    """Return a profile for one mailbox; the device asks for passwords when it is installed.

    All profiles for a mailbox have the same identifiers, so that a new one replaces the old one.
    """
    reading, sending = client.reading, client.sending[0]
    account: dict[str, Any] = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadDisplayName": client.address,
        **_identity(f"{client.mailbox}.mail", client.reading.host),
        "EmailAccountType": "EmailTypeIMAP",
        "EmailAccountDescription": client.address,
        "EmailAccountName": client.mailbox,
        "EmailAddress": client.address,
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "IncomingMailServerHostName": reading.host,
        "IncomingMailServerPortNumber": reading.port,
        "IncomingMailServerUseSSL": True,
        "IncomingMailServerUsername": reading.user,
        "OutgoingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingMailServerHostName": sending.host,
        "OutgoingMailServerPortNumber": sending.port,
        "OutgoingMailServerUseSSL": True,
        "OutgoingPasswordSameAsIncomingPassword": client.one_password,
    }
    if sending.user:
        account["OutgoingMailServerUsername"] = sending.user
    return plistlib.dumps(
        {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadDisplayName": f"Mail of {client.address}",
            "PayloadDescription": "Reading and sending mail. It holds no password.",
            **_identity(client.mailbox, client.reading.host),
            "PayloadContent": [account],
        }
    )


def _server(parent: ET.Element, tag: str, kind: str, server: Server, user: str) -> None:
    element = ET.SubElement(parent, tag, type=kind)
    ET.SubElement(element, "hostname").text = server.host
    ET.SubElement(element, "port").text = str(server.port)
    ET.SubElement(element, "socketType").text = _SOCKET[server.tls]
    ET.SubElement(element, "username").text = user
    ET.SubElement(element, "authentication").text = "password-cleartext"


def _identity(name: str, host: str) -> dict[str, str]:
    """Return a profile's identifiers on a device, always the same for a mailbox."""
    identifier = ".".join([*reversed(host.split(".")), "postamt-sync", name])
    return {
        "PayloadIdentifier": identifier,
        "PayloadUUID": str(uuid.uuid5(_NAMESPACE, identifier)).upper(),
    }
