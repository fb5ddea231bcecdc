"""The stack: all names and ARNs at AWS, known before anything exists.

They follow from the account, the region and the stack's name, so there is no state file to lose.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from postamt_sync.bootstrap.stack_part import StackPart
from postamt_sync.errors import UsageError
from postamt_sync.mail.handed_routes import HandedRoutes
from postamt_sync.mail.routing import Addressee

if TYPE_CHECKING:
    from postamt_sync.bootstrap.seal_stack import SealStack
    from postamt_sync.bootstrap.webmail_stack import WebmailStack

RULE_SET = "postamt"
"""The rule set that we create if none is active. Only one can be active at a time, so all stacks in
an account and region share it."""

LONGEST_USER = 64
"""Characters in an IAM user's name, at most."""


@dataclass(frozen=True, slots=True)
class Stack(StackPart):
    """One mail system in one account and region.

    `domains` are lower-case A-labels. `mail_from` is the label of the subdomain to which bounces of
    sent mail go. `public_url` is the address of the daemon's webhook, "" without one.
    """

    bucket: str
    domains: tuple[str, ...]
    prefix: str = "incoming/"
    recent_prefix: str = "recent/"
    tls_policy: Literal["require", "optional"] = "require"
    mail_from: str = "bounce"
    bounce_notices: bool = False
    dmarc_policy: Literal["none", "quarantine", "reject"] = "none"
    public_url: str = ""
    restore: bool = False
    """Whether the box at home may request that mail be restored from an archive class."""
    kms: bool = False
    """Whether box, index and webmail decrypt mail that SES encrypted with a KMS key."""
    subdomains: tuple[str, ...] = ()
    """Domains whose subdomains all get mail too."""
    smtp_senders: tuple[Addressee, ...] = ()
    """The mailboxes, if each has its own SMTP user; empty if all share one."""
    webmail: WebmailStack | None = None
    """The emergency webmail, if enabled."""
    sealed_prefix: str = ""
    """Where sealed mail is, also after sealing was switched off; "" if nothing was ever sealed."""
    seal: SealStack | None = None
    """Encryption at rest with the owner's keys, if enabled."""
    handed: HandedRoutes | None = None
    """Who gets which mail, for parts that have no configuration; None if it is not handed over."""

    def wanted_webmail(self) -> WebmailStack:
        """Return the webmail. Raises UsageError if it is not enabled."""
        if self.webmail is None:
            raise UsageError(
                "The configuration wants no webmail.",
                "Set enabled = true in [webmail], and its host.",
            )
        return self.webmail

    @property
    def own_namespace(self) -> bool:
        """Whether only this account can take the bucket's name (S3 User Guide, "Namespaces for
        general purpose buckets")."""
        return self.bucket.endswith(f"-{self.account}-{self.region}-an")

    @property
    def bucket_arn(self) -> str:
        return self.arn_of_bucket(self.bucket)

    @property
    def topic_arn(self) -> str:
        return self._arn("sns", self.name)

    @property
    def queue(self) -> str:
        """The queue that keeps notifications for the daemon."""
        return self.name

    @property
    def dead_letter_queue(self) -> str:
        """The queue for notifications that the webhook did not accept."""
        return f"{self.name}-dead"

    @property
    def index_dead_letter_queue(self) -> str:
        """The queue for notifications that the index function failed to handle."""
        return f"{self.name}-index-dead"

    def queue_arn(self, queue: str) -> str:
        return self._arn("sqs", queue)

    def queue_url(self, queue: str) -> str:
        """Return the queue's URL at AWS; at an emulator it is another."""
        return f"https://sqs.{self.region}.amazonaws.com/{self.account}/{queue}"

    @property
    def table(self) -> str:
        return self.name

    @property
    def function(self) -> str:
        return self.index_function

    @property
    def root_arn(self) -> str:
        """The account itself, as a principal."""
        return self._iam_arn("root")

    @property
    def sync_user(self) -> str:
        """The user that reads mail: the box at home."""
        return f"{self.name}-sync"

    @property
    def smtp_user(self) -> str:
        """The user that sends mail: people's mail clients."""
        return f"{self.name}-smtp"

    def smtp_user_of(self, mailbox: str) -> str:
        """Return the user that sends one mailbox's mail, if each has its own."""
        user = f"{self.smtp_user}-{mailbox}"
        if len(user) <= LONGEST_USER:
            return user
        digest = hashlib.sha256(mailbox.encode()).hexdigest()[:12]
        return f"{user[: LONGEST_USER - len(digest) - 1]}-{digest}"

    def user_arn(self, user: str) -> str:
        return self._iam_arn(f"user/{user}")

    @property
    def rule(self) -> str:
        """Our receipt rule, in whatever rule set is active."""
        return self.name

    def rule_arn(self, rule_set: str) -> str:
        return self._arn("ses", f"receipt-rule-set/{rule_set}:receipt-rule/{self.rule}")

    def mail_from_domain(self, domain: str) -> str:
        return f"{self.mail_from}.{domain}"
