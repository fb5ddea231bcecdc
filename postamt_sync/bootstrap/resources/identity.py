"""A domain that SES receives for and sends from (SES Developer Guide, "Verified identities")."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Note, PlanItem, call
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.tags import is_ours, listed, mapped

MISSING = ("NotFoundException",)
FEEDBACK_TYPES = ("Bounce", "Complaint")


@dataclass(frozen=True, slots=True)
class IdentityResource:
    """The domain's identity with Easy DKIM, its MAIL FROM subdomain and notifications of bounces.

    An identity that existed before us is used as it is.
    """

    stack: Stack
    aws: AwsClient
    domain: str

    @property
    def title(self) -> str:
        return f"identity {self.domain}"

    def plan(self) -> Iterator[PlanItem]:
        identity = self.read()
        if identity is None:
            made = call(
                "sesv2",
                "create_email_identity",
                EmailIdentity=self.domain,
                DkimSigningAttributes={"NextSigningKeyLength": "RSA_2048_BIT"},
                Tags=listed(self.stack.tags),
            )
            mail_from = self.stack.mail_from_domain(self.domain)
            yield Change("create, with Easy DKIM", [made])
            yield Change(f"MAIL FROM: {mail_from}", [self._put_mail_from(mail_from)])
            if self.stack.bounce_notices:
                yield from self._notifications({})
            return
        if is_ours(mapped(identity.get("Tags", [])), self.stack):
            yield from self._mend(identity)
        else:
            yield Note("was there before: it is used, and stays as it is")
        yield from _standing(identity, self.domain)

    def destroy(self) -> Iterator[PlanItem]:
        identity = self.read()
        if identity is None:
            return
        if is_ours(mapped(identity.get("Tags", [])), self.stack):
            delete = call("sesv2", "delete_email_identity", EmailIdentity=self.domain)
            yield Change("delete", [delete])
        else:
            yield Note("kept: it was there before")

    def read(self) -> dict[str, Any] | None:
        """Return SES's description of the domain; None if it does not know it."""
        return self.aws.read(
            "sesv2", "get_email_identity", missing=MISSING, EmailIdentity=self.domain
        )

    def _mend(self, identity: dict[str, Any]) -> Iterator[PlanItem]:
        wanted = self.stack.mail_from_domain(self.domain)
        actual = identity.get("MailFromAttributes", {}).get("MailFromDomain", "")
        if actual != wanted:
            put = self._put_mail_from(wanted)
            yield Change(f"MAIL FROM: {actual or 'none'} → {wanted}", [put])
        if not identity.get("DkimAttributes", {}).get("SigningEnabled"):
            put = call(
                "sesv2",
                "put_email_identity_dkim_attributes",
                EmailIdentity=self.domain,
                SigningEnabled=True,
            )
            yield Change("DKIM signing: off → on", [put])
        answer = self.aws.read(
            "ses", "get_identity_notification_attributes", Identities=[self.domain]
        )
        yield from self._notifications(
            (answer or {}).get("NotificationAttributes", {}).get(self.domain, {})
        )

    def _notifications(self, actual: dict[str, Any]) -> Iterator[PlanItem]:
        topic = self.stack.topic_arn
        for kind in FEEDBACK_TYPES:
            told = actual.get(f"{kind}Topic") or ""
            if self.stack.bounce_notices and told != topic:
                message = f"{kind.lower()} notifications: to topic {self.stack.name}"
                yield Change(message, [self._tell(kind, SnsTopic=topic)])
            elif not self.stack.bounce_notices and told == topic:
                yield Change(f"{kind.lower()} notifications: on → off", [self._tell(kind)])

    def _tell(self, kind: str, **topic: str) -> Call:
        return Call(
            "ses",
            "set_identity_notification_topic",
            {"Identity": self.domain, "NotificationType": kind, **topic},
            retry_on=("InvalidParameterValue",),
        )

    def _put_mail_from(self, mail_from: str) -> Call:
        parameters = {
            "EmailIdentity": self.domain,
            "MailFromDomain": mail_from,
            # If the MX is not found, SES sends with its own domain rather than not at all.
            "BehaviorOnMxFailure": "USE_DEFAULT_VALUE",
        }
        return Call(
            "sesv2",
            "put_email_identity_mail_from_attributes",
            parameters,
            retry_on=MISSING,
        )


def _standing(identity: dict[str, Any], domain: str) -> Iterator[PlanItem]:
    if not identity.get("VerifiedForSendingStatus"):
        status = identity.get("DkimAttributes", {}).get("Status", "PENDING")
        if status in {"FAILED", "TEMPORARY_FAILURE"}:
            yield Note(
                f"SES could not verify {domain}: its DKIM records were not found. "
                "Show them with: postamt-sync bootstrap dns"
            )
        else:
            yield Note(
                f"SES has not seen the DKIM records of {domain} yet; it can take hours. "
                "Show them with: postamt-sync bootstrap dns"
            )
