"""What mail clients read by themselves: Mozilla's autoconfig and Apple's configuration profile.

Formats: https://www.bucksch.org/1/projects/thunderbird/autoconfiguration/config-file-format.html
and Apple's "Device Management", com.apple.mail.managed. Neither holds a password.
"""

from __future__ import annotations

import plistlib
import uuid
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as ET

from postamt_sync.aws.smtp import Tls
from postamt_sync.host.mail_client import Client, Server

TYPED_ADDRESS = "%EMAILADDRESS%"
"""Autoconfig's word for the address that the person has typed."""

_SOCKET = {Tls.IMPLICIT: "SSL", Tls.STARTTLS: "STARTTLS"}
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "postamt-sync.invalid")


def autoconfig(client: Client, domains: Sequence[str]) -> str:
    """Return one file for the whole household: people log in by the address that they type.

    Only sending through SES itself has a user name that is the same for all.
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
    """Return a profile for one mailbox; the device asks for the passwords when it is installed.

    Profiles of one mailbox have the same identifiers, so that a later one replaces the earlier.
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
    """Return what a profile is known by on a device: the same for the same mailbox."""
    identifier = ".".join([*reversed(host.split(".")), "postamt-sync", name])
    return {
        "PayloadIdentifier": identifier,
        "PayloadUUID": str(uuid.uuid5(_NAMESPACE, identifier)).upper(),
    }
