"""`postamt-sync webmail`, as a person types it and sees it in a real browser."""

from __future__ import annotations

import http.client
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser import Browser, needs_browser
from tests.doubles.moto import Moto
from tests.webmail.page import open_first, signed_in
from tests.webmail.stack import SECRET, WebmailStack
from tests.webmail.test_reading_pages import NEWSLETTER

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(cloud: Moto, tmp_path_factory: pytest.TempPathFactory) -> WebmailStack:
    """A stack in which anna and bruno may sign in, and anna has mail."""
    stack = WebmailStack(cloud, tmp_path_factory.mktemp("webmail"))
    for name in ("anna", "bruno"):
        code, said = stack.type("webmail", "user", "add", name, "--choose", given=f"{SECRET}\n")
        assert code == 0, said
    head = {"From": "Jürgen <j@b.example>", "Subject": "Grüße", "To": "anna@example.com"}
    stack.arrive("newsletter", NEWSLETTER, headers=head)
    return stack


@pytest.fixture(scope="module")
def url(stack: WebmailStack) -> Iterator[str]:
    with stack.served() as url:
        yield url


class TestUsers:
    def test_a_secret_is_made_shown_once_and_changed(self, cloud: Moto, tmp_path: Path) -> None:
        stack = WebmailStack(cloud, tmp_path)
        assert stack.type("webmail", "user", "list")[0] == 64
        assert stack.type("webmail", "serve")[0] == 64
        code, said = stack.type("webmail", "user", "add", "anna")
        assert code == 0, said
        assert f"The table {stack.name}-webmail was created." in said
        (secret,) = re.findall(r"^    ([a-z2-7-]{39})$", said, re.MULTILINE)
        code, said = stack.type("webmail", "user", "list")
        assert re.fullmatch(r"anna: secret of \d{4}-\d\d-\d\d\n", said)
        assert secret not in said
        code, said = stack.type("webmail", "user", "rotate", "anna")
        assert code == 0
        assert secret not in said
        code, said = stack.type("webmail", "user", "remove", "anna")
        assert (code, said) == (0, "anna cannot sign in any more.\n")
        assert "No mailbox" in stack.type("webmail", "user", "list")[1]

    def test_what_is_wrong_is_told(self, stack: WebmailStack) -> None:
        for words, given, code, told in (
            (("add", "nobody"), "", 64, "There is no mailbox 'nobody'"),
            (("add", "anna"), "", 64, "may sign in already"),
            (("rotate", "anna", "--choose"), "short\n", 64, "at least 20 characters"),
            (("remove", "nobody"), "", 64, "may not sign in"),
        ):
            found, said = stack.type("webmail", "user", *words, given=given)
            assert found == code, said
            assert told in said.replace("\n    ", " ")


def test_a_table_that_is_not_there_is_told_at_once(cloud: Moto, tmp_path: Path) -> None:
    stack = WebmailStack(cloud, tmp_path)
    assert stack.type("webmail", "user", "add", "anna")[0] == 0
    code, said = stack.type("webmail", "user", "add", "anna")
    assert f"webmail user rotate anna --config {stack.config}" in said.replace("\n    ", " ")
    with stack.served(signal.SIGINT):
        pass
    assert stack.ended == 0
    stack.config.write_text(stack.config.read_text().replace(stack.table, "none"))
    code, said = stack.type("webmail", "serve")
    assert code == 78, said
    assert "none" in said


def asked(url: str, path: str, host: str = "", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    at = urlsplit(url)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=30)
    try:
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("Host", host or at.netloc)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
    finally:
        connection.close()


def test_it_answers_by_a_loopback_address_alone(url: str) -> None:
    port = urlsplit(url).port
    for host in (
        *("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "x"),
        *(f"evil.example:{port}@localhost:{port}", f"localhost:{port}.evil.example"),
        *("localhost", "localhost:80", f"localhost.:{port}", f"localhost:0{port}"),
        *(f"127.0.0.2:{port}", f"127.1:{port}", f"0.0.0.0:{port}", f"[::]:{port}"),
        *(f"localhost:{port}, evil.example", f"localhost:{port} evil.example"),
    ):
        for path in ("/", "/api/session"):
            status, body, _ = asked(url, path, host)
            assert status == 421
            assert b"<" not in body
    for host in (f"localhost:{port}", f"LocalHost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
        assert asked(url, "/", host)[0] == 200


def test_each_file_has_its_headers(url: str) -> None:
    status, page, headers = asked(url, "/")
    assert status == 200
    assert headers["x-frame-options"] == "DENY"
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    for path in re.findall(rb'(?:href|src)="([a-z.]+)"', page):
        assert asked(url, f"/{path.decode()}")[0] == 200
    for path in ("/../pyproject.toml", "/site.py", "/%2e%2e/x", "//", "/app.js/"):
        assert asked(url, path)[0] == 404
    status, _, headers = asked(url, "/api/session")
    assert status == 401
    assert headers["cache-control"] == "no-store"


@needs_browser[0]
@needs_browser[1]
def test_a_mail_of_the_stack_is_read_in_a_browser(chromium: Browser, url: str) -> None:
    signed_in(chromium, url)
    open_first(chromium)
    with chromium.within("iframe"):
        chromium.until("return document.body.innerText.includes('Grüße, rich')")
    signed_in(chromium, url, "bruno")
    assert "There is no mail here." in chromium.text
