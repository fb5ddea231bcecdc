"""The webmail at AWS: its certificate, its page, its API behind CloudFront alone, its function."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.invocation import Invocation
from postamt_sync.bootstrap.resources.certificate import ISSUED, PENDING
from postamt_sync.bootstrap.resources.distribution import DEPLOYED
from postamt_sync.bootstrap.resources.edge_policy import page_csp
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.webmail_resources import WebmailParts, parts
from postamt_sync.bootstrap.webmail_stack import WebmailStack
from postamt_sync.doctor.account import APPLY, AwsAccount
from postamt_sync.doctor.check import Check
from postamt_sync.doctor.finding import STACK, Finding, Severity
from postamt_sync.doctor.invocation import InvocationCheck
from postamt_sync.events import printable
from postamt_sync.log_line import without_markup
from postamt_sync.threads import call_within
from postamt_sync.webmail.site import HEADERS, site

SECONDS = 8.0
"""For one step of an exchange."""
ALTOGETHER = 20.0
"""Seconds for a whole exchange: a server may also send byte after byte."""
DNS = "See which records the DNS needs: postamt-sync bootstrap dns"
CSP = "Content-Security-Policy"
HSTS = "Strict-Transport-Security"
_LONGEST = 1 << 20

TRIAL = {
    "version": "2.0",
    "rawPath": "/api/session",
    "rawQueryString": "",
    "headers": {},
    "requestContext": {"http": {"method": "GET", "path": "/api/session"}},
    "isBase64Encoded": False,
}
"""A request that did not come through CloudFront: it is refused, and nothing else is done."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a server said. `headers` are by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Ask = Callable[[str, str], Answered]
"""GET a path of a host over TLS; raises OSError or http.client.HTTPException."""


def ask(
    host: str, path: str, *, tls: ssl.SSLContext | None = None, seconds: float = ALTOGETHER
) -> Answered:
    """Ask as a browser would, which believes public authorities alone."""
    tls = tls or ssl.create_default_context()
    return call_within(seconds, lambda: _exchange(host, path, tls))


def _exchange(host: str, path: str, tls: ssl.SSLContext) -> Answered:
    connection = http.client.HTTPSConnection(host, timeout=SECONDS, context=tls)
    try:
        connection.request("GET", path, headers={"Accept": "*/*"})
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answered(answer.status, headers, answer.read(_LONGEST))
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class WebmailCertificateCheck:
    """Has ACM given the certificate, and has CloudFront brought everything everywhere?"""

    account: AwsAccount

    @property
    def subject(self) -> str:
        return "webmail certificate"

    def look(self) -> Iterable[Finding]:
        webmail, made = _opened(self.account)
        found = made.certificate.find()
        if found is None:
            words = f"There is no certificate for {webmail.host}."
            yield Finding(self.subject, Severity.FAILURE, words, APPLY, STACK, follows=True)
        elif found.status == ISSUED:
            words = f"ACM has issued the certificate for {webmail.host}."
            yield Finding(self.subject, Severity.OK, words)
        elif found.status == PENDING:
            record = " CNAME ".join(found.record) if found.record else "one that ACM has not named"
            words = f"The certificate of {webmail.host} waits for its record in the DNS: {record}."
            remedy = (
                "Make the record (postamt-sync bootstrap dns --route53 writes it); then: "
                "postamt-sync bootstrap apply"
            )
            yield Finding(self.subject, Severity.FAILURE, words, remedy)
        else:
            words = f"The certificate of {webmail.host} cannot be used: ACM says {found.trouble}."
            remedy = f"CAA records of the domain must let Amazon in, if there are any. {APPLY}"
            yield Finding(self.subject, Severity.FAILURE, words, remedy)
        distribution = made.distribution.find()
        if distribution is not None and distribution.status != DEPLOYED:
            yield Finding(
                "webmail distribution",
                Severity.WARNING,
                "CloudFront is still rolling out its last change.",
                "Wait a few minutes, and run it again.",
            )


@dataclass(frozen=True, slots=True)
class WebmailPageCheck:
    """Does a browser get our page, with the headers that guard it?"""

    account: AwsAccount
    ask: Ask = ask

    @property
    def subject(self) -> str:
        return "webmail page"

    def look(self) -> Iterable[Finding]:
        webmail, _ = _opened(self.account)
        host = webmail.host
        try:
            answer = self.ask(host, "/")
        except (OSError, http.client.HTTPException) as error:
            yield _unreachable(self.subject, host, error)
            return
        if answer.status != 200:
            words = f"{webmail.origin}/ answers with status {answer.status}."
            yield Finding(self.subject, Severity.FAILURE, words, APPLY)
            return
        if answer.body != site()["/"].content:
            words = f"{webmail.origin}/ shows another page than this version's."
            remedy = f"{APPLY}. A page from elsewhere means that the DNS leads elsewhere."
            yield Finding(self.subject, Severity.FAILURE, words, remedy)
            return
        wrong = sorted(_wrong_headers(webmail, answer.headers))
        if wrong:
            words = f"{webmail.origin}/ lacks headers that guard it: {', '.join(wrong)}."
            yield Finding(self.subject, Severity.FAILURE, words, APPLY)
        else:
            words = f"{webmail.origin}/ is served, with the headers that guard it."
            yield Finding(self.subject, Severity.OK, words)


def _wrong_headers(webmail: WebmailStack, headers: Mapping[str, str]) -> Iterator[str]:
    for name, value in {**HEADERS, CSP: page_csp(webmail)}.items():
        if headers.get(name.lower()) != value:
            yield name
    if "max-age=" not in headers.get(HSTS.lower(), ""):
        yield HSTS


@dataclass(frozen=True, slots=True)
class WebmailApiCheck:
    """Is the API reached through CloudFront, and by no other way?"""

    account: AwsAccount
    ask: Ask = ask

    @property
    def subject(self) -> str:
        return "webmail API"

    def look(self) -> Iterable[Finding]:
        webmail, made = _opened(self.account)
        path = "/api/session"
        if not made.api.ids():
            words = "There is no HTTP API of the webmail."
            yield Finding(self.subject, Severity.FAILURE, words, APPLY, STACK, follows=True)
            return
        direct = made.api.host()
        try:
            host = direct
            past = self.ask(direct, path).status
            host = webmail.host
            through = self.ask(host, path).status
        except (OSError, http.client.HTTPException) as error:
            yield _unreachable(self.subject, host, error)
            return
        if past != 403:
            words = f"{direct} answers past CloudFront with status {past}, where it should refuse."
            yield Finding(self.subject, Severity.FAILURE, words, APPLY)
        if through != 401:
            words = f"{webmail.origin}{path} answers with status {through}, not as to a stranger."
            remedy = (
                "CloudFront may still be rolling out a new secret: wait a few minutes. If "
                f"it stays: {APPLY[:1].lower()}{APPLY[1:]}"
            )
            yield Finding(self.subject, Severity.FAILURE, words, remedy)
        if (past, through) == (403, 401):
            words = "The API answers through CloudFront, and refuses whoever goes past it."
            yield Finding(self.subject, Severity.OK, words)


def function_check(account: AwsAccount, remedy: str = APPLY) -> InvocationCheck:
    """Return the look at whether the function runs when it is invoked."""

    def trial(stack: Stack, aws: AwsClient) -> Invocation:
        return Invocation(stack.wanted_webmail(), aws, TRIAL, amiss)

    return InvocationCheck(account, remedy, "webmail function", trial)


def amiss(said: bytes) -> str:
    """Say what is wrong with the answer to a request that has to be refused; "" if nothing is."""
    try:
        answer: Any = json.loads(said)
        status = answer["statusCode"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "It answers something that is no answer to a request."
    if status == 403:
        return ""
    return f"It answers with status {printable(str(status), 20)}, where it should refuse (403)."


def webmail_checks(account: AwsAccount, asking: Ask = ask, remedy: str = APPLY) -> list[Check]:
    """Return what there is to look at where a webmail is wanted."""
    return [
        WebmailCertificateCheck(account),
        WebmailPageCheck(account, asking),
        WebmailApiCheck(account, asking),
        function_check(account, remedy),
    ]


def _opened(account: AwsAccount) -> tuple[WebmailStack, WebmailParts]:
    stack, aws = account.open()
    webmail = stack.wanted_webmail()
    return webmail, parts(webmail, aws)


def _unreachable(subject: str, host: str, error: Exception) -> Finding:
    if isinstance(error, ssl.SSLCertVerificationError):
        said = printable(error.verify_message).rstrip(".")
        words = f"The certificate shown at {host} is not trusted: {said}."
        return Finding(subject, Severity.FAILURE, words, DNS)
    if isinstance(error, socket.gaierror):
        words = f"The name {host} does not resolve."
        return Finding(subject, Severity.FAILURE, words, DNS)
    why = printable(without_markup(str(error))) or type(error).__name__
    words = f"{host} cannot be reached from here: {why}."
    remedy = "Look at the network; CloudFront and API Gateway are reached by port 443."
    return Finding(subject, Severity.FAILURE, words, remedy)
