"""What SES asks IAM for when a raw mail is sent: the emulator would ask for the resource `*`.

SES asks once for each thing of its own that the mail touches: the identities that stand for the
sender, their default configuration sets and, in the sandbox, where the emulator's account always
is, the identities that stand for the recipients.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from email import message_from_bytes
from email.utils import getaddresses, parseaddr
from typing import Any

from moto.ses.models import SESBackend
from moto.ses.responses import EmailResponse

_ORIGINAL = EmailResponse._authenticate_and_authorize_normal_action  # noqa: SLF001


def install() -> None:
    """Have SendRawEmail authorised as SES does it."""
    EmailResponse._authenticate_and_authorize_normal_action = _authorize  # noqa: SLF001


def _authorize(response: EmailResponse, resource: str = "*") -> None:
    if response._get_action() != "SendRawEmail":  # noqa: SLF001
        _ORIGINAL(response, resource)
        return
    mail = message_from_bytes(response._get_param("RawMessage.Data"))  # noqa: SLF001
    _, sender = parseaddr(str(mail["From"] or response._get_param("Source")))  # noqa: SLF001
    headers = [str(mail[name]) for name in ("To", "Cc", "Bcc") if mail[name]]
    recipients = response._get_param("Destinations") or [a for _, a in getaddresses(headers)]  # noqa: SLF001
    backend = response.backend
    arn = f"arn:aws:ses:{backend.region_name}:{backend.account_id}"
    for touched in _touched(backend, sender, recipients):
        _ORIGINAL(response, f"{arn}:{touched}")


def _touched(backend: SESBackend, sender: str, recipients: Iterable[str]) -> Iterator[str]:
    for identity in _standing_for(backend, sender):
        yield f"identity/{identity}"
        held: dict[str, Any] = getattr(backend.email_identities[identity], "postamt", {})
        if "ConfigurationSetName" in held:
            yield f"configuration-set/{held['ConfigurationSetName']}"
    for recipient in recipients:
        for identity in _standing_for(backend, recipient):
            yield f"identity/{identity}"


def _standing_for(backend: SESBackend, address: str) -> list[str]:
    """Return the identities of the address itself and of the nearest domain above it."""
    labels = address.rpartition("@")[2].lower().split(".")
    domains = [".".join(labels[n:]) for n in range(len(labels))]
    nearest = [domain for domain in domains if domain in backend.email_identities][:1]
    return [*([address] if address in backend.email_identities else []), *nearest]
