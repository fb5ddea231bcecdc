"""`webmail serve` with no more rights than it says it needs; and its keys, where AWS has them."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from postamt_sync.webmail.key_ring import KeyRing
from tests.doubles.moto import moto
from tests.support.http_server import served
from tests.webmail.stack import SECRET, WebmailStack

pytestmark = pytest.mark.slow


class Limited(WebmailStack):
    """A stack that is asked with the keys of a user of its own, once there are some."""

    keys: tuple[str, str] = ("testing", "testing")
    policy = ""

    @property
    def environment(self) -> dict[str, str]:
        key, secret = self.keys
        return super().environment | {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}

    def become(self, user: str, policy: str = "") -> None:
        """Ask from now on as a new user, who may do what the policy says."""
        iam = self.cloud.client("iam")
        iam.create_user(UserName=user)
        if policy:
            document = json.loads(policy)
            for statement in document["Statement"]:
                if re.search("dynamodb:|ssm:", json.dumps(statement["Action"])):
                    statement["Resource"] = "*"  # of which the emulator knows none
            held = json.dumps(document)
            iam.put_user_policy(UserName=user, PolicyName=user, PolicyDocument=held)
        made = iam.create_access_key(UserName=user)["AccessKey"]
        self.keys = (made["AccessKeyId"], made["SecretAccessKey"])


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limited]:
    with moto() as cloud:
        stack = Limited(cloud, tmp_path_factory.mktemp("limited"))
        text = stack.config.read_text()
        text = text.replace("[stack]\n", '[stack]\ndomains = ["example.com"]\n')
        text += '\n[webmail]\nenabled = true\nhost = "webmail.example.com"\n'
        stack.config.write_text(text)
        code, said = stack.type("webmail", "user", "add", "anna", "--choose", given=f"{SECRET}\n")
        assert code == 0, said
        stack.arrive("one", b"From: a@b.example\r\nSubject: hello\r\n\r\nhello\r\n")
        for name in ("session-keys", "device-keys"):
            cloud.client("ssm").put_parameter(
                Name=f"/{stack.name}/webmail/{name}",
                Value=KeyRing.new().to_text(),
                Type="SecureString",
            )
        code, policy = stack.type("webmail", "serve", "--policy")
        assert code == 0, policy
        stack.become("reader", policy)
        cloud.enforce_policies()
        stack.policy = policy
        yield stack


def asked(url: str, method: str, path: str, cookie: str = "", fields: Any = None) -> Any:
    """Return the answer's JSON, and the cookies that it sets."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=60)
    headers = {"Origin": url.rstrip("/"), "Content-Type": "application/json", "Cookie": cookie}
    try:
        body = None if fields is None else json.dumps(fields)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        set_ = [v.partition(";")[0] for k, v in answer.getheaders() if k.lower() == "set-cookie"]
        text = answer.read()
        assert answer.status == 200, (path, answer.status, text)
        return json.loads(text), "; ".join(set_)
    finally:
        connection.close()


def test_the_policy_that_it_prints_is_enough(stack: Limited) -> None:
    with stack.served() as url:
        signing = {"mailbox": "anna", "secret": SECRET}
        _, cookie = asked(url, "POST", "/api/sign-in", "", signing)
        listed, _ = asked(url, "GET", "/api/mails", cookie)
        (mail,) = listed["mails"]
        assert mail["subject"] == "one"
        opened, _ = asked(url, "GET", f"/api/mails/{mail['id']}", cookie)
        assert opened["text"].strip() == "hello"
        asked(url, "POST", f"/api/mails/{mail['id']}/seen", cookie, {"seen": True})
        asked(url, "GET", "/api/mails?folder=sent", cookie)
        asked(url, "POST", "/api/sign-in/known", cookie, signing)
    # The keys are those at AWS: what was signed before the restart is still good.
    with stack.served() as url:
        asked(url, "GET", "/api/session", cookie)
        asked(url, "POST", "/api/sign-in/known", cookie, signing)


def test_it_names_no_right_that_an_administrator_alone_should_have(stack: Limited) -> None:
    for statement in json.loads(stack.policy)["Statement"]:
        named = statement["Action"]
        for action in [named] if isinstance(named, str) else named:
            assert action in {
                *("s3:GetObject", "s3:ListBucket", "s3:PutObject", "ses:SendEmail"),
                *("ses:SendRawEmail", "ssm:GetParameters", "dynamodb:BatchGetItem"),
                *("dynamodb:Query", *(f"dynamodb:{d}Item" for d in ("Get", "Put", "Update"))),
                "dynamodb:DeleteItem",
            }
        assert statement["Resource"] != "*"
        assert "origin-secret" not in json.dumps(statement)


class Denying(BaseHTTPRequestHandler):
    """AWS, which allows nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"__type": "com.amazon.coral.service#AccessDeniedException"}).encode()
        self.send_response(400)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def test_without_these_rights_it_says_where_they_are_written(
    stack: Limited, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Denying)
    monkeypatch.setattr(stack.cloud, "url", f"http://127.0.0.1:{server.server_port}")
    with served(server):
        code, said = stack.type("webmail", "serve", "--port", "0")
    told = re.sub(r"\s+", " ", said)
    assert code == 78, said
    assert "The AWS credentials may not read who may sign in." in told
    assert f"postamt-sync webmail serve --policy --config {stack.config}" in told


def test_help_says_it(stack: Limited) -> None:
    code, said = stack.type("webmail", "serve", "--help")
    assert code == 0
    assert "need not be an administrator's" in re.sub(r"\s+", " ", said)
