"""The options of what stands around the daemon, which needs little of them: the AWS side, sealing,
webmail and clients.

Attribute names are those of the file.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from postamt_sync.config.section import Section
from postamt_sync.config.values import (
    Domain,
    HostOrEmpty,
    KeyFile,
    Label,
    OneOrMany,
    OptionalPath,
    SmtpUserOrEmpty,
    StackName,
    SystemUser,
)

KeyFiles = Annotated[tuple[KeyFile, ...], OneOrMany]


class StackSettings(Section):
    """What `bootstrap` builds; of it the daemon asks its name alone, which the receipt rule has."""

    name: StackName = Field(default="postamt", examples=["postamt"])
    domains: tuple[Domain, ...] = Field(default=(), examples=[["example.com"]])
    tls_policy: Literal["require", "optional"] = Field(default="require", examples=["require"])
    mail_from: Label = Field(default="bounce", examples=["bounce"])
    bounce_notices: bool = Field(default=False, examples=[True])
    dmarc_policy: Literal["none", "quarantine", "reject"] = Field(
        default="none", examples=["quarantine"]
    )
    restore: bool = Field(default=False, examples=[True])
    smtp_per_mailbox: bool = Field(default=False, examples=[True])


class HomeSettings(Section):
    """What stands beside the daemon: Dovecot and the mail clients; the daemon ignores it."""

    imap_host: HostOrEmpty = Field(default="", examples=["mail.example.com"])
    mail_user: SystemUser = Field(default="postamt-sync", examples=["postamt-sync"])
    tls_certificate: OptionalPath = Field(
        default=None, examples=["/etc/letsencrypt/live/mail.example.com/fullchain.pem"]
    )
    tls_key: OptionalPath = Field(
        default=None, examples=["/etc/letsencrypt/live/mail.example.com/privkey.pem"]
    )
    submission: bool = Field(default=False, examples=[True])
    smtp_user: SmtpUserOrEmpty = Field(default="", examples=["AKIAIOSFODNN7EXAMPLE"])


class WebmailSettings(Section):
    """The emergency webmail at AWS, which `bootstrap` builds; `host` is its name in the DNS."""

    enabled: bool = Field(default=False, examples=[True])
    host: HostOrEmpty = Field(default="", examples=["webmail.example.com"])


class SealSettings(Section):
    """Encryption at rest with the owner's OpenPGP keys, which `bootstrap` builds; no key, none.

    `keys` are certificates without secrets, as `Settings.seal_keys` finds them. `after` and `undo`
    are days.
    """

    keys: KeyFiles = Field(default=(), examples=[["owner.asc", "backup.asc"]])
    after: int = Field(default=14, ge=1, le=3_650, examples=[14])
    undo: int = Field(default=14, ge=1, le=365, examples=[14])
    index: Literal["strip", "keep"] = Field(default="strip", examples=["strip"])

    @property
    def enabled(self) -> bool:
        """Whether mail is to be sealed from now on; what was sealed before stays so."""
        return bool(self.keys)
