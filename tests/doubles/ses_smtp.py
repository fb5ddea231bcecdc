"""SES's SMTP server as far as mail clients see it: STARTTLS, then AUTH, then IAM and the sandbox.

Its words and codes are those of the SES Developer Guide, "SMTP response codes returned by Amazon
SES". What SES and IAM say of a mail comes after DATA and looks at the From header, case and all.
MAIL FROM `<>` is refused at once.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.utils import parseaddr
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from postamt_sync.bootstrap.policy_document import Document
from tests.doubles.ses_account import SesAccount
from tests.support.ports import reserved_port


@dataclass
class SesUser:
    """An IAM user with SMTP credentials, `key` being the access key's id.

    `policy` is asked at each mail, as IAM is.
    """

    key: str
    password: str
    policy: Callable[[], Document]
    name: str = "postamt-smtp"


@dataclass
class Taken:
    """A mail that was taken for sending."""

    user: str
    mail_from: str
    recipients: list[str]
    content: bytes


class _Smtp(SMTP):
    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's
        # RFC 4954, section 5: a server with AUTH takes the parameter; aiosmtpd does not know it.
        if arg and re.match(r"FROM:\s*<>", arg, re.IGNORECASE):
            await self.push("501 Invalid MAIL FROM address provided")
            return
        await super().smtp_MAIL(re.sub(r" AUTH=\S+", "", arg) if arg else arg)


@dataclass
class SesSmtp:
    """Takes mail on a free port of 127.0.0.1 while its context is open; certificate: localhost."""

    tls: ssl.SSLContext
    users: list[SesUser]
    taken: list[Taken] = field(default_factory=list)
    port: int = field(default_factory=reserved_port)
    account: Callable[[], SesAccount] = SesAccount

    def __enter__(self) -> Self:
        self._controller = _Controller(
            self,
            "127.0.0.1",
            self.port,
            tls_context=self.tls,
            require_starttls=True,
            auth_required=True,
            authenticator=self._authenticate,
            server_hostname="email-smtp.amazonaws.com",
            ident="ESMTP SimpleEmailService",
            enable_SMTPUTF8=False,
        )
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        login, password = data.login.decode(), data.password.decode()
        for user in self.users:
            if (user.key, user.password) == (login, password):
                return AuthResult(success=True, auth_data=user)
        return AuthResult(
            success=False, handled=False, message="535 Authentication Credentials Invalid"
        )

    async def handle_DATA(  # noqa: N802 - aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        user: SesUser = session.auth_data
        content = envelope.content
        assert isinstance(content, bytes)
        _, sender = parseaddr(message_from_bytes(content)["From"])
        refusal = self.account().refusal(user.name, user.policy(), sender, envelope.rcpt_tos)
        if refusal:
            return refusal
        assert envelope.mail_from is not None
        self.taken.append(Taken(user.key, envelope.mail_from, envelope.rcpt_tos, content))
        return "250 Ok 010201234567890a-01234567-89ab-cdef-0123-456789abcdef-000000"


class _Controller(Controller):
    def factory(self) -> SMTP:
        return _Smtp(self.handler, **self.SMTP_kwargs)
