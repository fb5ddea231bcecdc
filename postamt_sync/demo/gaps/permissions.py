"""What the emulator leaves out of policies: conditions, and how SES authorizes sending.

A statement with a condition that does not hold has no effect (IAM User Guide, "Policy evaluation
logic"). Every request to the emulator counts as made over TLS, since it comes over loopback. A
condition on something unknown counts as holding: other tests check the conditions themselves.

When a raw mail is sent, SES authorizes each of its resources that the mail touches, where the
emulator would authorize the resource `*`: the identities that stand for the sender, their default
configuration sets and, in the sandbox, where the emulator's account always is, the identities that
stand for the recipients.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from email import message_from_bytes
from email.utils import getaddresses, parseaddr
from typing import Any

from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.ses.models import SESBackend
from moto.ses.urls import url_paths

from postamt_sync.demo.gaps.rules import RuleAnswers
from postamt_sync.demo.gaps.service_answers import answer_by

KNOWN = {"aws:SecureTransport": "true"}

_ORIGINAL = IAMPolicyStatement.is_action_permitted


class AuthorizedAnswers(RuleAnswers):
    """Authorizes SendRawEmail as SES does."""

    def _authenticate_and_authorize_normal_action(self, resource: str = "*") -> None:
        authorize = super()._authenticate_and_authorize_normal_action
        if self._get_action() != "SendRawEmail":
            authorize(resource)
            return
        mail = message_from_bytes(self._get_param("RawMessage.Data"))
        _, sender = parseaddr(str(mail["From"] or self._get_param("Source")))
        headers = [str(mail[name]) for name in ("To", "Cc", "Bcc") if mail[name]]
        recipients = self._get_param("Destinations") or [a for _, a in getaddresses(headers)]
        arn = f"arn:aws:ses:{self.backend.region_name}:{self.backend.account_id}"
        for touched in _touched(self.backend, sender, recipients):
            authorize(f"{arn}:{touched}")


def install() -> None:
    """Evaluate the conditions that can be known; authorize SendRawEmail as SES does."""
    IAMPolicyStatement.is_action_permitted = _is_action_permitted
    answer_by(AuthorizedAnswers, url_paths)


def _is_action_permitted(
    statement: IAMPolicyStatement, action: str, resource: str = "*", *_: Any
) -> PermissionResult:
    document = statement._statement  # noqa: SLF001
    for operator in document.get("Condition", {}).values():
        for key, value in operator.items():
            if key in KNOWN and value != KNOWN[key]:
                return PermissionResult.NEUTRAL
    # A bucket policy for a service does not concern our own users.
    if "Service" in (document.get("Principal") or {}):
        return PermissionResult.NEUTRAL
    bare = IAMPolicyStatement({k: v for k, v in document.items() if k != "Condition"})
    return _ORIGINAL(bare, action, resource)


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
