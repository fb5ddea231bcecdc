"""Handing the round trip's mail to SES: by its API, or as mail clients do, by SMTP."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Protocol

from postamt_sync.aws.errors import ForbiddenError
from postamt_sync.aws.smtp import SmtpServer
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError
from postamt_sync.events import printable
from postamt_sync.host.smtp_credentials import SmtpCredentials
from postamt_sync.log_line import without_markup

SECONDS = 20.0
AUTHENTICATION_INVALID = 535
TRANSACTION_FAILED = 554


class NotSentError(MisconfiguredError):
    """SES will never send this mail with these credentials."""


class Sender(Protocol):
    """Hands a mail from someone to the same; on return SES has taken it. Raises PostamtError."""

    def __call__(self, mail: EmailMessage, address: str) -> None: ...


@dataclass(frozen=True, slots=True)
class ByApi:
    """With the AWS credentials; the daemon's own may not (ses:SendEmail)."""

    aws: AwsClient

    def __call__(self, mail: EmailMessage, address: str) -> None:
        try:
            self.aws.read(
                "sesv2",
                "send_email",
                FromEmailAddress=address,
                Destination={"ToAddresses": [address]},
                Content={"Raw": {"Data": mail.as_bytes()}},
            )
        except ForbiddenError as error:
            raise MisconfiguredError(
                error.problem,
                "The daemon's credentials only read: name those for sending, with "
                "--smtp-credentials FILE, or use an administrator's (AWS_PROFILE).",
            ) from error


@dataclass(frozen=True, slots=True)
class BySmtp:
    """As a mail client does, on the port for STARTTLS (RFC 6409)."""

    server: SmtpServer
    credentials: SmtpCredentials

    def __call__(self, mail: EmailMessage, address: str) -> None:
        self.send(mail, address, address)

    def send(self, mail: EmailMessage, sender: str, recipient: str) -> None:
        """Hand a mail from one to another to SES."""
        host, port = self.server.host, self.server.starttls[0]
        try:
            with smtplib.SMTP(host, port, timeout=SECONDS) as client:
                client.starttls(context=ssl.create_default_context())
                client.login(self.credentials.user, self.credentials.password)
                client.send_message(mail, sender, [recipient])
        except smtplib.SMTPResponseException as error:
            raise _refusal(host, error) from error
        except (smtplib.SMTPException, OSError) as error:
            raise TryLaterError(
                f"{host} did not take the mail: {printable(without_markup(str(error)), 200)}.",
                "Look at the network, and at what stands between this machine and SES.",
            ) from error


def _refusal(host: str, error: smtplib.SMTPResponseException) -> PostamtError:
    """Tell what an answer means (SES Developer Guide, "SMTP response codes").

    SES ends with 554 what it will not send, for reasons that only its words tell apart.
    """
    answer = error.smtp_error
    said = answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)
    problem = f"{host} did not take the mail: {error.smtp_code} {printable(said, 300).rstrip('.')}."
    if error.smtp_code == AUTHENTICATION_INVALID:
        return MisconfiguredError(
            problem,
            "These are not the credentials for sending in this region, or their key is gone: "
            "postamt-sync bootstrap credentials show",
        )
    if error.smtp_code == TRANSACTION_FAILED:
        return NotSentError(
            problem,
            "Where access is denied, the user for sending may not send from this address: its "
            "policy lets it send from the domains of [stack], written in small letters, or, with "
            "smtp_per_mailbox, from the addresses of its mailbox; bring it up to date with: "
            "postamt-sync bootstrap apply. Where an address is not verified: postamt-sync "
            "bootstrap verify; in SES's sandbox that holds for recipients too, and the way out is: "
            "postamt-sync bootstrap production-access. Where sending is paused: look at the SES "
            "console.",
        )
    return TryLaterError(problem, "Look at what the server says, and try again.")
