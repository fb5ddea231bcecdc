"""What SES looks at before it sends: its identities, the sandbox, and the sender's IAM policy.

SES asks IAM for `ses:SendRawEmail` once for each thing that a mail touches: the identities that
stand for its From (the address itself, and the domain or the parent domain that is verified), their
default configuration sets and, in the sandbox, the identities that stand for its recipients. Its
words are those of the SES Developer Guide, "SMTP response codes returned by Amazon SES".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from postamt_sync.bootstrap.policy_document import Document
from tests.doubles.iam import allows

SEND = "ses:SendRawEmail"


@dataclass(frozen=True, slots=True)
class SesAccount:
    """One account in one region. `identities` are the verified ones, each with the name of its
    default configuration set, "" for none."""

    identities: Mapping[str, str] = field(default_factory=lambda: {"example.com": ""})
    sandbox: bool = False
    account: str = "123456789012"
    region: str = "eu-west-1"

    def refusal(self, user: str, policy: Document, sender: str, recipients: Sequence[str]) -> str:
        """Return what SMTP answers to a mail of this From, "" where SES sends it."""
        known = [one for one in recipients if not one.endswith("@simulator.amazonses.com")]
        checked = [sender, *(known if self.sandbox else ())]
        if unknown := [address for address in checked if not self._standing_for(address)]:
            return (
                "554 Message rejected: Email address is not verified. The following identities "
                f"failed the check in region {self.region.upper()}: {', '.join(unknown)}"
            )
        context = {"ses:FromAddress": sender}
        for resource in dict.fromkeys(self._touched(sender, checked)):
            if not allows(policy, SEND, resource, context):
                return (
                    f"554 Access denied: User `arn:aws:iam::{self.account}:user/{user}' is not "
                    f"authorized to perform `{SEND}' on resource `{resource}'"
                )
        return ""

    def _touched(self, sender: str, checked: Iterable[str]) -> Iterator[str]:
        for address in checked:
            for identity in self._standing_for(address):
                yield self._arn(f"identity/{identity}")
        for identity in self._standing_for(sender):
            if self.identities[identity]:
                yield self._arn(f"configuration-set/{self.identities[identity]}")

    def _standing_for(self, address: str) -> list[str]:
        """Names of domains have no case; of addresses SES keeps that of the part before the @."""
        local, _, domain = address.rpartition("@")
        labels = domain.lower().split(".")
        parents = [".".join(labels[n:]) for n in range(len(labels))]
        nearest = [parent for parent in parents if parent in self.identities][:1]
        own = f"{local}@{domain.lower()}"
        return [*([own] if own in self.identities else []), *nearest]

    def _arn(self, resource: str) -> str:
        return f"arn:aws:ses:{self.region}:{self.account}:{resource}"


def as_emulated(sesv2: Any, verified: Iterable[str]) -> SesAccount:
    """Read an emulated account; `verified` are those of its identities that SES has verified."""
    identities = {
        name: sesv2.get_email_identity(EmailIdentity=name).get("ConfigurationSetName", "")
        for name in verified
    }
    return SesAccount(identities, not sesv2.get_account()["ProductionAccessEnabled"])
