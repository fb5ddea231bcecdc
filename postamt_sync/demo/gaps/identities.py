"""SES's identities and account: what the emulator lacks.

Identities have DKIM tokens, a MAIL FROM domain, tags, a default configuration set, and topics for
bounces; the account is in the sandbox.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from moto.ses.exceptions import AlreadyExists, NotFoundException
from moto.ses.models import SESBackend
from moto.sesv2.responses import SESV2Response
from moto.sesv2.urls import url_paths

from postamt_sync.demo.gaps.service_answers import answer_by

VERIFIED = "verified.example"
"""It and its subdomains are verified as soon as they are created; others stay pending."""

PATHS = (
    "account",
    "account/details",
    "identities/(?P<EmailIdentity>[^/]+)/mail-from",
    "identities/(?P<EmailIdentity>[^/]+)/dkim",
    "identities/(?P<EmailIdentity>[^/]+)/configuration-set",
)
"""Paths that moto's server would answer with 404."""

_ORIGINAL_NOTIFICATION_ATTRIBUTES = SESBackend.get_identity_notification_attributes


class IdentityAnswers(SESV2Response):  # type: ignore[misc]
    """Adds the calls about identities and the account that the stack makes."""

    def create_email_identity(self) -> str:
        asked = json.loads(self.body)
        name = asked["EmailIdentity"]
        backend = self.sesv2_backend.core_backend
        if name in backend.email_identities:
            raise _already_exists(name)
        self.sesv2_backend.create_email_identity(name, asked.get("Tags") or [], None, None)
        identity = backend.email_identities[name]
        identity.postamt = {"Tags": asked.get("Tags") or [], "SigningEnabled": True}
        if name_of_set := asked.get("ConfigurationSetName"):
            identity.postamt["ConfigurationSetName"] = name_of_set
        shown = _shown(identity, name, self.region)
        wanted = ("IdentityType", "VerifiedForSendingStatus", "DkimAttributes")
        return json.dumps({member: shown[member] for member in wanted})

    def get_email_identity(self) -> str:
        name = self._identity_name()
        return json.dumps(_shown(self._identity(name), name, self.region))

    def put_email_identity_mail_from_attributes(self) -> str:
        asked = json.loads(self.body)
        identity = self._identity(self._identity_name())
        identity.postamt = {
            **_extras(identity),
            "MailFromDomain": asked.get("MailFromDomain") or "",
            "BehaviorOnMxFailure": asked.get("BehaviorOnMxFailure", "USE_DEFAULT_VALUE"),
        }
        return "{}"

    def put_email_identity_dkim_attributes(self) -> str:
        asked = json.loads(self.body)
        identity = self._identity(self._identity_name())
        identity.postamt = {
            **_extras(identity),
            "SigningEnabled": asked.get("SigningEnabled", False),
        }
        return "{}"

    def put_email_identity_configuration_set_attributes(self) -> str:
        asked = json.loads(self.body)
        identity = self._identity(self._identity_name())
        extras = {k: v for k, v in _extras(identity).items() if k != "ConfigurationSetName"}
        if name := asked.get("ConfigurationSetName"):
            extras["ConfigurationSetName"] = name
        identity.postamt = extras
        return "{}"

    def get_account(self) -> str:
        details = getattr(self.sesv2_backend, "postamt_details", None)
        account: dict[str, Any] = {
            "ProductionAccessEnabled": False,
            "SendingEnabled": True,
            "EnforcementStatus": "HEALTHY",
            "SendQuota": {"Max24HourSend": 200.0, "MaxSendRate": 1.0, "SentLast24Hours": 0.0},
        }
        if details is not None:
            account["Details"] = {**details, "ReviewDetails": {"Status": "PENDING"}}
        return json.dumps(account)

    def put_account_details(self) -> str:
        details = json.loads(self.body)
        details.pop("ProductionAccessEnabled", None)
        self.sesv2_backend.postamt_details = details
        return "{}"

    def _identity(self, name: str) -> Any:
        identity = self.sesv2_backend.core_backend.email_identities.get(name)
        if identity is None:
            raise NotFoundException(f"Email identity {name} does not exist.")
        return identity

    def _identity_name(self) -> str:
        name: str = self._get_param("EmailIdentity") or self.parsed_url.path.split("/")[4]
        return name


def install() -> None:
    """Support the calls about identities that the stack makes."""
    SESBackend.get_identity_notification_attributes = _get_notification_attributes
    answer_by(IdentityAnswers, url_paths, (f"{{0}}/v2/email/{path}$" for path in PATHS))


def is_verified(name: str) -> bool:
    """Tell whether a name is verified from the start."""
    return name == VERIFIED or name.endswith(f".{VERIFIED}")


def _get_notification_attributes(
    backend: SESBackend, identities: list[str]
) -> dict[str, dict[str, Any]]:
    answer: dict[str, dict[str, Any]] = _ORIGINAL_NOTIFICATION_ATTRIBUTES(backend, identities)
    for identity, attributes in answer.items():
        for kind, topic in backend.sns_topics.get(identity, {}).items():
            if kind in {"Bounce", "Complaint", "Delivery"}:
                attributes[f"{kind}Topic"] = topic
    return answer


def _shown(identity: Any, name: str, region: str) -> dict[str, Any]:
    extras = _extras(identity)
    verified = is_verified(name)
    tokens = [hashlib.sha256(f"{region} {name} {n}".encode()).hexdigest()[:32] for n in range(3)]
    shown: dict[str, Any] = {
        "IdentityType": "DOMAIN" if "@" not in name else "EMAIL_ADDRESS",
        "FeedbackForwardingStatus": True,
        "VerifiedForSendingStatus": verified,
        "VerificationStatus": "SUCCESS" if verified else "PENDING",
        "DkimAttributes": {
            "SigningEnabled": extras["SigningEnabled"],
            "Status": "SUCCESS" if verified else "PENDING",
            "Tokens": tokens,
            "SigningAttributesOrigin": "AWS_SES",
            "SigningHostedZone": "dkim.amazonses.com",
        },
        "MailFromAttributes": {
            "MailFromDomain": extras.get("MailFromDomain", ""),
            "MailFromDomainStatus": "SUCCESS" if verified else "PENDING",
            "BehaviorOnMxFailure": extras.get("BehaviorOnMxFailure", "USE_DEFAULT_VALUE"),
        },
        "Policies": {},
        "Tags": extras["Tags"],
    }
    if "ConfigurationSetName" in extras:
        shown["ConfigurationSetName"] = extras["ConfigurationSetName"]
    return shown


def _extras(identity: Any) -> dict[str, Any]:
    """Return what moto's own identity has no place for."""
    held: dict[str, Any] = getattr(identity, "postamt", {"Tags": [], "SigningEnabled": True})
    return held


def _already_exists(name: str) -> Exception:
    error: Exception = AlreadyExists(f"Email identity {name} already exist.")
    error.error_type = "AlreadyExistsException"  # type: ignore[attr-defined] # SES v2's own name
    return error
