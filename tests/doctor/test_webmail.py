"""The webmail as a browser and a stranger see it; CloudFront itself is stood in for."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.bootstrap.resources.edge_policy import page_csp
from postamt_sync.doctor.account import AwsAccount
from postamt_sync.doctor.check import findings_of
from postamt_sync.doctor.checks import checks
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.doctor.webmail import (
    Answered,
    WebmailApiCheck,
    WebmailCertificateCheck,
    WebmailPageCheck,
    amiss,
    ask,
)
from postamt_sync.webmail.site import HEADERS, site
from tests.doubles.account import Account, stack
from tests.doubles.proxy import authority_and_leaf
from tests.doubles.sns import key_pem, private_key
from tests.doubles.webmail_account import WEBMAIL, apply, have
from tests.support.household import settings

HOST = WEBMAIL.host
GOOD = {
    **{name.lower(): value for name, value in HEADERS.items()},
    "content-security-policy": page_csp(WEBMAIL),
    "strict-transport-security": "max-age=63072000",
}
PAGE = Answered(200, GOOD, site()["/"].content)

Ask = Callable[[str, str], Answered]


def opened(account: Account, webmail: object = WEBMAIL) -> AwsAccount:
    wanted = stack(webmail=webmail)
    return AwsAccount(lambda: (wanted, account.aws()))


def by(page: Answered = PAGE, through: int = 401, past: int = 403) -> Ask:
    def ask(host: str, path: str) -> Answered:
        if host != HOST:
            return Answered(past, {}, b"")
        return page if path == "/" else Answered(through, {}, b"")

    return ask


def failing(error: Exception) -> Ask:
    def ask(host: str, path: str) -> Answered:
        raise error

    return ask


def page(account: AwsAccount, ask: Ask) -> Finding:
    (found,) = findings_of(WebmailPageCheck(account, ask))
    return found


@pytest.fixture
def nobody() -> AwsAccount:
    """An account that nothing is asked of."""
    return AwsAccount(lambda: (stack(webmail=WEBMAIL), None))  # type: ignore[arg-type,return-value]


def test_the_page_with_its_headers_is_well(nobody: AwsAccount) -> None:
    assert page(nobody, by()).outcome is Severity.OK


@pytest.mark.parametrize("name", [*GOOD])
def test_each_header_that_is_missing_is_named(nobody: AwsAccount, name: str) -> None:
    bare = {k: v for k, v in GOOD.items() if k != name}
    found = page(nobody, by(replace(PAGE, headers=bare)))
    assert found.outcome is Severity.FAILURE
    assert name in found.words.lower()


@pytest.mark.parametrize(
    ("answered", "said"),
    [
        (Answered(403, {}, b""), "status 403"),
        (Answered(502, {}, b""), "status 502"),
        (Answered(200, GOOD, b"<h1>Parked</h1>"), "another page"),
    ],
)
def test_another_answer_is_told(nobody: AwsAccount, answered: Answered, said: str) -> None:
    found = page(nobody, by(answered))
    assert said in found.words
    assert found.remedy


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.gaierror(8, "nodename"), "does not resolve"),
        (ConnectionRefusedError(111, "Connection refused"), "cannot be reached from here"),
        (TimeoutError(), "cannot be reached from here: TimeoutError"),
        (http.client.BadStatusLine("\x1b[31m"), "cannot be reached"),
        (ssl.SSLCertVerificationError("x"), "is not trusted"),
    ],
)
def test_where_it_cannot_be_asked_the_cause_is_told(
    nobody: AwsAccount, error: Exception, said: str
) -> None:
    if isinstance(error, ssl.SSLCertVerificationError):
        error.verify_message = "self-signed certificate"
    found = page(nobody, failing(error))
    assert said in found.words
    assert found.words.isprintable()
    assert found.remedy


@pytest.fixture
def made(account: Account) -> Account:
    have(account)
    return account


@pytest.mark.slow
@pytest.mark.parametrize("drip", ["", "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_without_an_end_is_waited_for_a_while(tmp_path: Path, drip: str) -> None:
    """Byte after byte, so that no single one is waited for."""
    authority, leaf = authority_and_leaf("localhost")
    (tmp_path / "pair.pem").write_bytes(leaf + key_pem(private_key(9)))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "pair.pem")

    def serve(server: socket.socket) -> None:
        with contextlib.suppress(OSError), tls.wrap_socket(server.accept()[0], True) as peer:
            peer.sendall(drip.encode())
            while drip:
                peer.sendall(b"x")
                time.sleep(0.01)
            peer.recv(1 << 16)
            peer.recv(1)

    trusted = ssl.create_default_context(cadata=authority.decode())
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        with pytest.raises(TimeoutError, match="no whole answer within"):
            ask(f"localhost:{server.getsockname()[1]}", "/", tls=trusted, seconds=0.5)


def api(account: Account, ask: Ask) -> list[Finding]:
    return list(findings_of(WebmailApiCheck(opened(account), ask)))


def test_the_api_answers_through_cloudfront_alone(made: Account) -> None:
    asked: list[str] = []

    def ask(host: str, path: str) -> Answered:
        asked.append(f"{host}{path}")
        return by()(host, path)

    (found,) = api(made, ask)
    assert found.outcome is Severity.OK
    direct, through = asked
    assert direct.endswith(".execute-api.eu-west-1.amazonaws.com/api/session")
    assert through == f"{HOST}/api/session"
    (open_,) = api(made, by(past=401))
    assert "past CloudFront with status 401" in open_.words
    (shut,) = api(made, by(through=403))
    assert "status 403, not as to a stranger" in shut.words
    both = api(made, by(through=503, past=200))
    assert [f.outcome for f in both] == [Severity.FAILURE] * 2


def certificate(account: Account, webmail: object = WEBMAIL) -> list[Finding]:
    return list(findings_of(WebmailCertificateCheck(opened(account, webmail))))


def test_the_certificate_is_given_missing_or_waits(made: Account) -> None:
    assert [f.outcome for f in certificate(made)] == [Severity.OK]
    elsewhere = replace(WEBMAIL, host="webmail.example.com", name="other")
    (missing,) = certificate(made, elsewhere)
    assert "There is no certificate for webmail.example.com" in missing.words
    account = made
    aws = account.aws()
    aws.client("acm").request_certificate(
        DomainName=elsewhere.host,
        ValidationMethod="DNS",
        Tags=[
            {"Key": "postamt:stack", "Value": "other"},
            {"Key": "postamt:region", "Value": elsewhere.region},
        ],
    )
    (waiting,) = certificate(made, elsewhere)
    assert "_d930b28be6c5927595552b219965053e.webmail.example.com CNAME" in waiting.words
    assert "dns --route53" in waiting.remedy


def test_what_cloudfront_is_still_at_is_a_warning(made: Account) -> None:
    made.client("cloudfront")
    edge = made.client("cloudfront")
    (one,) = edge.list_distributions()["DistributionList"]["Items"]
    told = edge.get_distribution_config(Id=one["Id"])
    config = {**told["DistributionConfig"], "PriceClass": "PriceClass_All"}
    edge.update_distribution(Id=one["Id"], IfMatch=told["ETag"], DistributionConfig=config)
    assert [f.outcome for f in certificate(made)] == [Severity.OK, Severity.WARNING]
    apply(made)


@pytest.mark.parametrize(
    ("said", "well"),
    [
        (json.dumps({"statusCode": 403}), True),
        (json.dumps({"statusCode": 503}), False),
        (json.dumps({"statusCode": "\x1b"}), False),
        ("null", False),
        ("[]", False),
        ("", False),
        ("[" * 100_000, False),
    ],
)
def test_the_function_has_to_refuse_what_came_past_cloudfront(said: str, well: bool) -> None:
    words = amiss(said.encode())
    assert (words == "") is well
    assert words == "" or words.isprintable()


@pytest.mark.parametrize("enabled", [True, False])
def test_it_is_looked_at_where_it_is_wanted(tmp_path: Path, *, enabled: bool) -> None:
    domains = '[stack]\ndomains = ["example.com"]\n'
    webmail = f'[webmail]\nenabled = {str(enabled).lower()}\nhost = "webmail.example.com"\n'
    configured = settings(tmp_path, domains + webmail)

    def nobody() -> Any:
        raise AssertionError("asked while the checks are only named")

    named = {c.subject for c in checks(configured, nobody, nobody)}
    of_webmail = {
        *("webmail certificate", "webmail page", "webmail API", "webmail function"),
    }
    assert named & of_webmail == (of_webmail if enabled else set())
