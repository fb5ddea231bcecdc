"""The push path: is the webhook subscribed, does it answer at its public URL, with which
certificate?"""

from __future__ import annotations

import datetime as dt
import http.client
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from postamt_sync.alerts.conditions import EXPIRY, expiry
from postamt_sync.aws.errors import ForbiddenError
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.config.settings import WebhookSettings
from postamt_sync.doctor.account import AwsAccount
from postamt_sync.doctor.finding import Finding, Missing, Severity
from postamt_sync.errors import TryLaterError
from postamt_sync.events import printable
from postamt_sync.host.service.certificate import Pair
from postamt_sync.log_line import without_markup
from postamt_sync.regular_file import open_regular

CONNECT_SECONDS = 8.0
FULL_CHAIN = (
    "Set webhook.tls_certificate to the whole chain (fullchain.pem) of a certificate that a public "
    "authority issued for this name: SNS takes no other."
)
RENEW = "Find out why it was not renewed (for certbot: systemctl status certbot.timer)."


@dataclass(frozen=True, slots=True)
class SubscriptionCheck:
    """Does SNS post to us? Asked as the daemon asks at each of its starts: by subscribing."""

    account: AwsAccount
    webhook: WebhookSettings

    @property
    def subject(self) -> str:
        return "subscription"

    def look(self) -> Iterable[Finding]:
        _, aws = self.account.open()
        action = "sns:Subscribe"
        try:
            arn = self._arn(aws)
            if arn is None:
                yield Finding(
                    self.subject,
                    Severity.FAILURE,
                    f"There is no topic {self.webhook.topic_arn}.",
                    "Check webhook.topic_arn and aws.region, or make it: "
                    "postamt-sync bootstrap apply",
                    Missing("topic"),
                    follows=True,
                )
                return
            action = "sns:GetSubscriptionAttributes"
            answer = aws.read("sns", "get_subscription_attributes", SubscriptionArn=arn)
        except ForbiddenError:
            words = f"The AWS credentials may not {action}, which the daemon needs."
            remedy = f"Allow {action} in the sync user's policy: postamt-sync bootstrap apply"
            yield Finding(self.subject, Severity.FAILURE, words, remedy)
            return
        if (answer or {}).get("Attributes", {}).get("PendingConfirmation") == "true":
            yield Finding(
                self.subject,
                Severity.FAILURE,
                "The webhook's subscription is not confirmed: SNS does not post to it yet.",
                "Start the daemon (postamt-sync run), and see what it says; SNS must reach "
                f"{self.webhook.public_url}.",
            )
        else:
            yield Finding(self.subject, Severity.OK, "The webhook's subscription is confirmed.")

    def _arn(self, aws: AwsClient) -> str | None:
        url = self.webhook.public_url
        answer = aws.read(
            "sns",
            "subscribe",
            missing=("NotFound", "NotFoundException"),
            TopicArn=self.webhook.topic_arn,
            Protocol=url.partition(":")[0],
            Endpoint=url,
            ReturnSubscriptionArn=True,
        )
        return None if answer is None else str(answer["SubscriptionArn"])


@dataclass(frozen=True, slots=True)
class WebhookCheck:
    """Does the webhook answer at its public URL, to someone who believes public authorities only?

    Seen from here, which is not where SNS stands.
    """

    url: str
    trust: Callable[[], ssl.SSLContext] = ssl.create_default_context
    seconds: float = CONNECT_SECONDS
    clock: Callable[[], float] = time.time

    @property
    def subject(self) -> str:
        return "webhook"

    def look(self) -> Iterable[Finding]:
        url = urlsplit(self.url)
        host, encrypted = url.hostname or "", url.scheme == "https"
        port = url.port or (443 if encrypted else 80)  # http.client looks for it in an IPv6 address
        try:
            status, ends = self._ask(host, port, url.path or "/", encrypted)
        except ssl.SSLCertVerificationError as error:
            said = printable(error.verify_message).rstrip(".")
            words = f"The certificate shown at {host} is not trusted: {said}."
            yield Finding(self.subject, Severity.FAILURE, words, FULL_CHAIN)
            return
        except socket.gaierror:
            words = f"The name {host} does not resolve."
            remedy = "Give it an A or AAAA record that leads to this box."
            yield Finding(self.subject, Severity.FAILURE, words, remedy)
            return
        except (OSError, http.client.HTTPException) as error:
            why = printable(without_markup(str(error))) or type(error).__name__
            yield Finding(
                self.subject,
                Severity.FAILURE,
                f"{self.url} cannot be reached from here: {why}.",
                "Is the daemon running, and does the router forward the port? Some routers refuse "
                "their own public address from inside: then try from elsewhere.",
            )
            return
        if status >= 500:
            words = f"{self.url} answers with status {status}."
            remedy = "Look at the proxy in front of us, and whether the daemon runs behind it."
            yield Finding(self.subject, Severity.FAILURE, words, remedy)
        elif ends is not None and ends - self.clock() < EXPIRY.total_seconds():
            date = dt.datetime.fromtimestamp(ends, dt.UTC)
            words = f"The certificate shown at {host} expires on {date:%Y-%m-%d %H:%M} UTC."
            yield Finding(self.subject, Severity.WARNING, words, RENEW)
        elif ends is None:
            words = f"{self.url} answers, without TLS: notifications can be read in transit."
            remedy = "Give webhook.public_url an https address."
            yield Finding(self.subject, Severity.WARNING, words, remedy)
        else:
            yield Finding(self.subject, Severity.OK, f"{self.url} answers, with a valid chain.")

    def _ask(self, host: str, port: int, path: str, encrypted: bool) -> tuple[int, float | None]:
        """Return the status of a GET, and when the certificate ends (None: there is no TLS)."""
        connection: http.client.HTTPConnection
        if encrypted:
            connection = http.client.HTTPSConnection(
                host, port, timeout=self.seconds, context=self.trust()
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self.seconds)
        try:
            connection.connect()
            ends = None
            if isinstance(connection.sock, ssl.SSLSocket):
                shown = connection.sock.getpeercert() or {}
                ends = parsedate_to_datetime(str(shown["notAfter"])).timestamp()
            connection.request("GET", path, headers={"User-Agent": "postamt-sync doctor"})
            return connection.getresponse().status, ends
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class CertificateCheck:
    """The configured certificate: readable, with its key, for the public name, not about to end."""

    pair: Pair
    host: str
    clock: Callable[[], float] = field(default=time.time)

    @property
    def subject(self) -> str:
        return "certificate"

    def look(self) -> Iterable[Finding]:
        if not is_readable(self.pair.key):
            words = f"The key {self.pair.key} cannot be read by this user."
            remedy = "Run it with sudo, or as the daemon's user, to check it."
            yield Finding(self.subject, Severity.WARNING, words, remedy)
            return
        self.pair.check()
        if not self.pair.is_for(self.host):
            names = printable(", ".join(self.pair.shown_names()), 100)
            words = f"{self.pair.chain} is for {names or 'no name at all'}."
            remedy = f"Get one for {self.host}, the host in webhook.public_url."
            yield Finding(self.subject, Severity.FAILURE, words, remedy)
            return
        if ending := expiry(self.pair.chain, now=self.clock()):
            outcome = Severity.FAILURE if ending.over else Severity.WARNING
            yield Finding(self.subject, outcome, f"{ending.detail}.", RENEW)
            return
        yield Finding(self.subject, Severity.OK, f"{self.pair.chain} is valid, for {self.host}.")


def is_readable(path: Path) -> bool:
    """Tell whether we may read a key; raises TryLaterError where it cannot be read at all."""
    try:
        os.close(open_regular(path, links=True))
    except PermissionError:
        return False
    except OSError as error:
        raise TryLaterError(
            f"The key {path} cannot be read: {error.strerror}.",
            "Correct webhook.tls_key, or put the file there.",
        ) from error
    return True
