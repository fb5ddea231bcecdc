"""The front at AWS: events of an HTTP API, from anybody, and what is answered."""

from __future__ import annotations

import base64
import gzip
import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from postamt_sync.webmail.exchange import WebAnswer, WebRequest
from postamt_sync.webmail.function_event import LARGEST_ANSWER, LARGEST_REQUEST, event_answer
from postamt_sync.webmail.key_ring import SECRET_HEADER, KeyRing
from postamt_sync.webmail.lambda_front import LambdaFront
from postamt_sync.webmail.sessions import COOKIE
from postamt_sync.webmail.slow_down import FREE
from postamt_sync.webmail.webmail import Webmail
from tests.doubles.webmail import ORIGIN, SECRET, WebmailScene

VIEWER = "192.0.2.7:46532"


class Secret:
    """The origin's secret, which changes when it is looked for again, if it is told to."""

    def __init__(self) -> None:
        self.ring = KeyRing.new()
        self.next: KeyRing | None = None
        self.looks = 0

    @property
    def words(self) -> tuple[str, ...]:
        return self.ring.words

    def newer(self) -> bool:
        self.looks += 1
        if self.next is None:
            return False
        self.ring, self.next = self.next, None
        return True


class Front:
    """A front before a webmail in memory, asked as CloudFront does."""

    def __init__(self) -> None:
        self.scene = WebmailScene()
        self.secret = Secret()
        self.reached = 0
        self.asked: list[WebRequest] = []
        self.front = LambdaFront(self.secret, self._webmail, self._say)  # type: ignore[arg-type]
        self.said: list[tuple[str, str, Mapping[str, object]]] = []
        self.fails: Exception | None = None

    def _webmail(self) -> Webmail:
        self.reached += 1
        if self.fails:
            raise self.fails
        answer = self.scene.webmail.answer

        class Noting(Webmail):
            def __init__(self) -> None:
                pass

            def answer(noting, request: WebRequest) -> WebAnswer:  # noqa: N805
                self.asked.append(request)
                return answer(request)

        return Noting()

    def _say(self, *line: Any) -> None:
        self.said.append(line)

    def event(self, path: str = "/api/session", method: str = "GET", **more: Any) -> dict[str, Any]:
        """Return an event as API Gateway makes it; `headers` come to the usual ones."""
        headers = {
            SECRET_HEADER: self.secret.words[0],
            "cloudfront-viewer-address": VIEWER,
            "host": "abc123.execute-api.eu-west-1.amazonaws.com",
            "x-forwarded-for": "203.0.113.99, 198.51.100.1",
            **more.pop("headers", {}),
        }
        path, _, query = path.partition("?")
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {name: value for name, value in headers.items() if value is not None},
            "requestContext": {
                "http": {"method": method, "path": path, "sourceIp": "198.51.100.1"},
                "stage": "$default",
            },
            "isBase64Encoded": False,
            **more,
        }

    def ask(self, *words: Any, **more: Any) -> dict[str, Any]:
        return self.front.answer(self.event(*words, **more))

    def sign_in(self, secret: str = SECRET, **more: Any) -> dict[str, Any]:
        body = json.dumps({"mailbox": "anna", "secret": secret})
        headers = {"origin": ORIGIN, "content-type": "application/json", **more.pop("headers", {})}
        return self.ask("/api/sign-in", "POST", body=body, headers=headers, **more)


@pytest.fixture
def front() -> Front:
    front = Front()
    front.scene.let_in("anna", "bruno")
    return front


def kept(answer: dict[str, Any]) -> list[str]:
    return [each.partition(";")[0] for each in answer["cookies"]]


def test_one_signs_in_and_reads(front: Front) -> None:
    answer = front.sign_in()
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["mailbox"] == "anna"
    assert answer["isBase64Encoded"] is False
    assert answer["headers"]["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer["headers"]
    cookies = kept(answer)
    assert len(cookies) == 2
    front.scene.arrive("one")
    listed = front.ask("/api/mails?folder=inbox", cookies=cookies)
    assert [mail["subject"] for mail in json.loads(listed["body"])["mails"]] == ["hello"]
    # As one header, where something in between has put it together again.
    for headers in ({"cookie": "; ".join(cookies)}, {"Cookie": "; ".join(cookies)}):
        assert front.ask("/api/session", headers=headers)["statusCode"] == 200


def test_a_body_in_base64_is_the_same(front: Front) -> None:
    body = json.dumps({"mailbox": "anna", "secret": SECRET}).encode()
    headers = {"origin": ORIGIN, "content-type": "application/json"}
    asked = front.event(
        *("/api/sign-in", "POST"),
        body=base64.b64encode(body).decode(),
        isBase64Encoded=True,
        headers=headers,
    )
    assert front.front.answer(asked)["statusCode"] == 200
    for broken in ("%%%", "YQ", "YQ==\n", "ä"):
        assert front.front.answer({**asked, "body": broken})["statusCode"] == 400


def test_large_bodies_both_ways_are_told(front: Front) -> None:
    body = "x" * (LARGEST_REQUEST + 1)
    assert front.ask("/api/sign-in", "POST", body=body)["statusCode"] == 413
    assert front.ask(f"/{'x' * 5_000}")["statusCode"] == 414


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "kind", "gzipped", "status"),
    [
        (b"x" * 5_800_000, "text/html; charset=utf-8", False, 200),
        (b"x" * 6_200_000, "text/html; charset=utf-8", False, 413),
        (b"x" * 6_200_000, "text/html; charset=utf-8", True, 200),
        ("ü".encode() * 2_000_000, "text/html; charset=utf-8", True, 200),
        (random.Random(7).randbytes(4_400_000), "application/octet-stream", True, 200),
        (random.Random(7).randbytes(4_500_000), "application/octet-stream", True, 413),
        (random.Random(7).randbytes(6_000_000), "text/plain", True, 413),
        (b"\xff\x00", "text/plain", False, 200),
    ],
)
def test_an_answer_fits_into_six_megabytes_or_says_that_it_does_not(
    content: bytes, kind: str, gzipped: bool, status: int
) -> None:
    said = event_answer(WebAnswer(200, content, {"Content-Type": kind}), gzipped=gzipped)
    assert len(json.dumps(said)) <= LARGEST_ANSWER
    assert said["statusCode"] == status
    if status != 200:
        assert json.loads(said["body"])["code"] == "too-large"
        return
    body = said["body"]
    whole = base64.b64decode(body) if said["isBase64Encoded"] else body.encode()
    if said["headers"].get("Content-Encoding") == "gzip":
        whole = gzip.decompress(whole)
    assert whole == content


def test_a_page_is_compressed_for_those_who_take_it_alone(front: Front) -> None:
    cookies = kept(front.sign_in())
    raw = b"From: a@b.example\r\nContent-Type: text/plain\r\n\r\n" + b"words\r\n" * 60_000
    mail = front.scene.arrive("long", raw)
    for accepted, encoding in (
        *(("gzip, br", "gzip"), ("br;q=1.0, GZIP;q=0.5", "gzip")),
        *((None, "gzip"), ("*", "gzip"), ("", None), ("br", None), ("notgzip", None)),
    ):
        answer = front.ask(
            f"/api/mails/{mail}", cookies=cookies, headers={"accept-encoding": accepted}
        )
        assert answer["headers"].get("Content-Encoding") == encoding


class TestThroughCloudFrontAlone:
    @pytest.mark.parametrize(
        "given", [None, "", "x", "WRONG", "WORD,WORD", "WORD ", "word", "\ud800", "ä" * 40, "WORDx"]
    )
    def test_without_the_secret_nothing_is_done(self, front: Front, given: str | None) -> None:
        word = front.secret.words[0]
        if given is not None:
            given = given.replace("WRONG", KeyRing.new().words[0]).replace("WORD", word)
            given = given.replace("word", word.swapcase())
        writes = front.scene.table.writes
        for asked in (
            front.event(headers={SECRET_HEADER: given}),
            front.event("/api/sign-in", "POST", headers={SECRET_HEADER: given}, body="{"),
            front.event("/nowhere", "x", headers={SECRET_HEADER: given}),
        ):
            assert front.front.answer(asked)["statusCode"] == 403
        assert front.reached == 0
        assert front.scene.table.writes == writes

    def test_who_says_nothing_makes_us_ask_for_nothing(self, front: Front) -> None:
        for _ in range(10):
            front.ask(headers={SECRET_HEADER: None})
        assert front.secret.looks == 0

    def test_both_secrets_are_right_while_it_is_rotated(self, front: Front) -> None:
        old = front.secret.words[0]
        front.secret.next = front.secret.ring.rotated()
        new = front.secret.next.words[0]
        assert new != old
        for word in (old, new, old):
            assert front.ask(headers={SECRET_HEADER: word})["statusCode"] == 401
        front.secret.next = front.secret.ring.rotated()
        assert front.ask(headers={SECRET_HEADER: front.secret.next.words[0]})["statusCode"] == 401
        assert front.ask(headers={SECRET_HEADER: old})["statusCode"] == 403

    def test_its_name_may_be_written_in_any_case(self, front: Front) -> None:
        word = front.secret.words[0]
        headers = {SECRET_HEADER: None, SECRET_HEADER.title(): word}
        assert front.ask(headers=headers)["statusCode"] == 401
        twice = {SECRET_HEADER: word, SECRET_HEADER.upper(): word}
        assert front.ask(headers=twice)["statusCode"] == 403

    def test_the_secret_goes_no_further(self, front: Front) -> None:
        front.ask()
        (request,) = front.asked
        assert front.secret.words[0] not in repr(request)


class TestPeer:
    @pytest.mark.parametrize(
        ("viewer", "peer"),
        [
            ("192.0.2.7:46532", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6:443", "2001:db8:1:2:3:4:5:6"),
            ("2001:db8::1:443", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            (" 192.0.2.7:1 ", "192.0.2.7"),
            ("192.0.2.7", ""),
            ("192.0.2.7:", ""),
            ("192.0.2.7:x", ""),
            ("192.0.2.7:\u0661", ""),
            (":443", ""),
            ("", ""),
            (None, ""),
        ],
    )
    def test_it_is_whom_cloudfront_names(self, front: Front, viewer: str | None, peer: str) -> None:
        front.ask(headers={"cloudfront-viewer-address": viewer})
        assert front.asked[-1].peer == peer

    def test_no_header_of_the_peer_s_changes_it(self, front: Front) -> None:
        for number in range(FREE + 1):
            names = ("x-forwarded-for", "X-Real-IP", "forwarded", "true-client-ip")
            forged = dict.fromkeys(names, f"203.0.113.{number}")
            last = front.sign_in("wrong", headers=forged)
        assert last["statusCode"] == 429
        assert last["headers"]["Retry-After"] == "1"
        other = {"cloudfront-viewer-address": "198.51.100.200:1"}
        assert front.sign_in(headers=other)["statusCode"] == 200

    def test_a_second_one_is_nobody_s(self, front: Front) -> None:
        both = {"cloudfront-viewer-address": VIEWER, "CloudFront-Viewer-Address": "203.0.113.1:1"}
        for _ in range(FREE):
            front.sign_in("wrong", headers=both)
        assert front.sign_in("wrong", headers=both)["statusCode"] == 429
        assert front.sign_in()["statusCode"] == 200

    def test_neighbours_in_one_network_are_one(self, front: Front) -> None:
        for number in range(FREE):
            one = {"cloudfront-viewer-address": f"2001:db8:1:2:{number}::1:443"}
            front.sign_in("wrong", headers=one)
        again = {"cloudfront-viewer-address": "2001:db8:1:2:ffff::1:443"}
        assert front.sign_in(headers=again)["statusCode"] == 429


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("q=a%20b+c&folder=inbox", {"q": "a b c", "folder": "inbox"}),
        ("q=%2541", {"q": "%41"}),
        ("q=%26x%3D1", {"q": "&x=1"}),
        ("q=%C3%BC&q=second", {"q": "ü"}),
        ("q=%FF%", {"q": "\ufffd%"}),
        ("q", {"q": ""}),
        ("", {}),
        ("&&=&", {"": ""}),
        ("q=1;x=2", {"q": "1;x=2"}),
        ("&".join(f"n{n}=1" for n in range(1_000)), {}),
        ("q=" + "x" * 20_000, {"q": "x" * (16_384 - 2)}),
        (None, {}),
    ],
)
def test_the_query_is_decoded_once(front: Front, query: str | None, fields: dict[str, str]) -> None:
    front.front.answer({**front.event(), "rawQueryString": query})
    assert front.asked[-1].query == fields


@pytest.mark.parametrize(
    "path", ["/api/%73ession", "/api//session", "/api/session/", "//api/session", "/api/./session"]
)
def test_the_path_is_not_decoded(front: Front, path: str) -> None:
    cookies = kept(front.sign_in())
    assert front.ask(path, cookies=cookies)["statusCode"] == 404
    assert front.asked[-1].path == path


def test_a_cookie_that_comes_twice_is_none(front: Front) -> None:
    session = kept(front.sign_in())[0]
    assert front.ask(cookies=[session])["statusCode"] == 200
    assert front.ask(cookies=[session, session])["statusCode"] == 401
    assert front.ask(cookies=[f"{COOKIE}=x", session])["statusCode"] == 401
    assert front.ask(cookies=[f"{session}; {session}"])["statusCode"] == 401
    assert front.ask(cookies=["x" * 20_000, session])["statusCode"] == 200
    # The list is all of them: a header beside it is nobody's.
    assert front.ask(cookies=[session], headers={"cookie": session})["statusCode"] == 200
    assert front.ask(cookies=[], headers={"cookie": session})["statusCode"] == 401


def test_an_origin_that_comes_twice_is_none(front: Front) -> None:
    assert front.sign_in(headers={"Origin": ORIGIN})["statusCode"] == 403
    assert front.sign_in(headers={"origin": None, "ORIGIN": ORIGIN})["statusCode"] == 200
    for origin in (None, "null", f"{ORIGIN},{ORIGIN}", f"https://{ORIGIN[8:].upper()}"):
        assert front.sign_in(headers={"origin": origin})["statusCode"] == 403
    # The name that it is asked by says nothing: CloudFront asks by the API's own.
    assert front.sign_in(headers={"host": "evil.example"})["statusCode"] == 200


JUNK: tuple[Any, ...] = (
    *(None, True, 7, -1.5, "", "x", "\ud800", "\0", [], ["x"], [None], [[]], {}, {"x": 1}),
    *({"http": 7}, {"http": {"method": []}}, "Ä" * 3_000, "/", "/%", {"": ""}, 10**40, b"x"),
)


@pytest.mark.slow
def test_no_junk_makes_it_fail(front: Front) -> None:
    session = kept(front.sign_in())
    for each in JUNK:
        if not isinstance(each, Mapping):
            assert front.front.answer(each)["statusCode"] == 403
    usual = front.event("/api/mails", cookies=session)
    names = ["rawPath", "rawQueryString", "headers", "cookies", "body", "requestContext"]
    for name in [*names, "isBase64Encoded", "version", "routeKey"]:
        for junk in JUNK:
            answer = front.front.answer({**usual, name: junk})
            assert answer["statusCode"] in {200, 400, 401, 403, 404, 413, 414}, (name, junk)
            json.dumps(answer)
        without = {key: value for key, value in usual.items() if key != name}
        assert front.front.answer(without)["statusCode"] in {200, 400, 401, 403}
    for header in ("cookie", "origin", "content-type", "cloudfront-viewer-address", "host", "", 7):
        for junk in JUNK:
            headers = {**usual["headers"], header: junk}
            answer = front.front.answer({**usual, "headers": headers})
            assert answer["statusCode"] in {200, 401}, (header, junk)
    dice = random.Random(3)
    for _ in range(3_000):
        asked = dict(usual)
        for _ in range(dice.randint(1, 4)):
            asked[dice.choice(names)] = dice.choice(JUNK)
        assert front.front.answer(asked)["statusCode"] < 500
    assert [line for line in front.said if "unexpected" in line[1]] == []
    assert front.scene.said == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetItem"), "AccessDenied"),
        (RuntimeError("anna@example.com"), "RuntimeError"),
    ],
)
def test_what_goes_wrong_is_said_to_the_log_and_not_raised(
    front: Front, error: Exception, said: str
) -> None:
    front.fails = error
    answer = front.ask()
    assert answer["statusCode"] == 503
    assert said not in answer["body"]
    ((level, _, fields),) = front.said
    assert level == "error"
    assert said in str(fields["reason"])
    assert "anna" not in str(front.said)
