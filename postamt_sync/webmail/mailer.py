"""Sending a mail by SES, with one request that has three possible outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    ReadTimeoutError,
)
from botocore.exceptions import ConnectTimeoutError as NotConnectedError
from botocore.exceptions import EndpointConnectionError as NoEndpointError

from postamt_sync.log_line import printable

_MEANINGS = {
    "MessageRejected": "SES refuses this mail",
    "MailFromDomainNotVerifiedException": "SES does not know the sender's domain yet",
    "AccountSuspendedException": "SES has suspended sending for this account",
    "SendingPausedException": "Sending is paused in this account",
    "LimitExceededException": "SES's limit for this account is reached",
    "TooManyRequestsException": "SES gets too many mails at once: wait a moment",
    "NotFoundException": "SES lacks something that it needs for sending",
    "BadRequestException": "SES cannot process this mail",
    "AccessDeniedException": "These credentials may not send as this address",
}


class SurelyNotSentError(Exception):
    """It was certainly not sent. `problem` says why, for the user."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class PerhapsSentError(Exception):
    """It is not known whether it was sent, as the answer was lost."""


class Mailer(Protocol):
    """Sends a message at most once."""

    def send(self, sender: str, recipients: Sequence[str], raw: bytes) -> str:
        """Send a message; return the Message-ID that it got, in angle brackets.

        Raises SurelyNotSentError or PerhapsSentError, nothing else.
        """


class SesMailer:
    """SES in one region, through a client that makes a single attempt."""

    def __init__(self, client: Any, region: str) -> None:
        self._client = client
        self._host = "email.amazonses.com" if region == "us-east-1" else f"{region}.amazonses.com"

    def send(self, sender: str, recipients: Sequence[str], raw: bytes) -> str:
        try:
            answer = self._client.send_email(
                FromEmailAddress=sender,
                # All in Bcc: who sees whom is in the message itself.
                Destination={"BccAddresses": list(recipients)},
                Content={"Raw": {"Data": raw}},
            )
            return f"<{answer['MessageId']}@{self._host}>"
        except ClientError as error:
            raise self._meaning(error) from error
        except (NoEndpointError, NotConnectedError) as error:
            raise SurelyNotSentError("SES cannot be reached. Try again in a moment.") from error
        except (ReadTimeoutError, ConnectionClosedError, HTTPClientError) as error:
            raise PerhapsSentError from error
        except BotoCoreError as error:  # nothing left this machine
            raise SurelyNotSentError(f"It could not be sent: {printable(str(error))}") from error
        except Exception as error:  # an answer that botocore trips over
            raise PerhapsSentError from error

    def _meaning(self, error: ClientError) -> Exception:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        if not 400 <= status < 500:
            return PerhapsSentError()
        code = str(error.response.get("Error", {}).get("Code", ""))
        said = printable(str(error.response.get("Error", {}).get("Message", ""))).rstrip(".")
        meaning = _MEANINGS.get(code, "SES refuses to send")
        return SurelyNotSentError(f"{meaning}: {said}." if said else f"{meaning}.")
