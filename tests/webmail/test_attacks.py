"""What strangers, pages of others and other mailboxes try, on every route there is."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from postamt_sync.webmail.sessions import COOKIE
from postamt_sync.webmail.slow_down import FREE
from tests.doubles.webmail import KEY, ORIGIN, WebBrowser, WebmailScene
from tests.doubles.webmail_ports import MemoryDay

MINUTES = 60.0
RAW = (
    b"From: a@b.example\r\nSubject: hello\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n'
    b"--x\r\nContent-Type: text/html\r\n\r\n<p>hello</p>\r\n"
    b"--x\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=a.png\r\n\r\n"
    b"bytes\r\n--x--\r\n"
)
DRAFT = "a-draft-of-thirty-two-characters"


@pytest.fixture
def scene() -> WebmailScene:
    scene = WebmailScene(day=MemoryDay())
    scene.let_in("anna", "bruno")
    return scene


def every_route(mail: str) -> Iterator[tuple[str, str]]:
    """Yield method and address of whatever is there for one who is signed in."""
    for what in ("", "/html", "/html?images=1", "/source", "/source?download=1", "/parts/2"):
        yield "GET", f"/api/mails/{mail}{what}"
    yield "POST", f"/api/mails/{mail}/seen"
    yield "GET", f"/api/drafts/{DRAFT}"
    yield "POST", "/api/send"
    for path in ("session", "mails", "mails?folder=sent", "mails?folder=junk&q=hello"):
        yield "GET", f"/api/{path}"
    for path in ("sign-out", "sign-out-everywhere"):
        yield "POST", f"/api/{path}"


def ask(browser: WebBrowser, method: str, address: str, **headers: str) -> Any:
    fields = {"seen": True, "draft": DRAFT, "forward": ""}
    if method == "GET":
        return browser.get(address, **headers)
    return browser.post(address, fields, **headers)


@pytest.mark.parametrize(
    "cookie",
    [
        *("", f"{COOKIE}=x", f"{COOKIE}=TOKEN; {COOKIE}=TOKEN", f"{COOKIE}={'x' * 9_000}"),
        *(f"{COOKIE} =x; {COOKIE}=TOKEN", f"{COOKIE.lower()}=TOKEN", f"{COOKIE}=TOKEN."),
        *(f"{COOKIE}={'TOKEN' * 2}", f'{COOKIE}="TOKEN"', f"{COOKIE}=TOKEN, {COOKIE}=TOKEN"),
        f"{'; '.join(f'c{n}=v' for n in range(2_000))}; x{COOKIE}=TOKEN",
    ],
)
def test_without_a_session_no_route_tells_or_does_anything(
    scene: WebmailScene, cookie: str
) -> None:
    mail = scene.arrive("one", RAW)
    browser = scene.browser("anna")
    sent = cookie.replace("TOKEN", browser.token)
    writes = scene.table.writes
    for method, address in every_route(mail):
        answer = ask(browser, method, address, cookie=sent)
        assert answer.status == 401, address
        assert json.loads(answer.body)["code"] == "signed-out"
    assert scene.table.writes == writes
    assert scene.store.read_keys == []


def test_a_token_is_worth_nothing_after_signing_out(scene: WebmailScene) -> None:
    mail = scene.arrive("one", RAW)
    browser = scene.browser("anna")
    tokens = [browser.token]
    scene.now += 11 * MINUTES
    browser.get("/api/session")
    tokens.append(browser.token)
    assert len(set(tokens)) == 2
    browser.post("/api/sign-out")
    for token in tokens:
        for method, address in every_route(mail):
            browser.token = token
            assert ask(browser, method, address).status == 401
    assert scene.browser("anna").get("/api/session").status == 200


def test_another_mailbox_s_mail_is_not_there_on_any_route(scene: WebmailScene) -> None:
    hers, his = scene.arrive("one", RAW), scene.arrive("two", RAW, to=["bruno@example.com"])
    anna, bruno = scene.browser("anna"), scene.browser("bruno")
    of_a_mail = [route for route in every_route("MAIL") if "MAIL" in route[1]]
    assert len(of_a_mail) == 7
    for browser, own, other in ((anna, hers, his), (bruno, his, hers)):
        scene.store.read_keys.clear()
        for method, address in of_a_mail:
            answer = ask(browser, method, address.replace("MAIL", other))
            nothing = ask(browser, method, address.replace("MAIL", "bm9uZQ"))
            assert (answer.status, answer.body) == (404, nothing.body), address
        assert not {"incoming/one", "incoming/two"}.intersection(scene.store.read_keys)
        for method, address in of_a_mail:
            assert ask(browser, method, address.replace("MAIL", own)).status < 404, address
    assert not [key for key in scene.table.kept if key[0] == "seen#anna" and "two" in key[1]]


def test_another_mailbox_s_draft_and_sent_mail_are_not_there(scene: WebmailScene) -> None:
    anna, bruno = scene.browser("anna"), scene.browser("bruno")
    written = {
        "draft": DRAFT,
        "from": "anna@example.com",
        "to": "x@y.example",
        "subject": "hello",
        "text": "hello",
    }
    assert anna.post("/api/send", written).status == 200
    (mail,) = anna.look("/api/mails?folder=sent")["mails"]
    for what in ("", "/html", "/source", "/source?download=1"):
        assert anna.get(f"/api/mails/{mail['id']}{what}").status < 400
        assert bruno.get(f"/api/mails/{mail['id']}{what}").status == 404
    assert anna.look(f"/api/drafts/{DRAFT}")["state"] == "sent"
    assert bruno.look(f"/api/drafts/{DRAFT}") == bruno.look(f"/api/drafts/{DRAFT[::-1]}")
    assert bruno.look("/api/mails?folder=sent")["mails"] == []
    for sender in ("anna@example.com", "x@example.com", "ANNA@EXAMPLE.COM", "anna+x@example.com"):
        his = {**written, "draft": DRAFT[::-1], "from": sender}
        assert bruno.post("/api/send", his).status == 403


@pytest.mark.parametrize(
    "origin",
    [
        *("", "null", "NULL", "https://", "*", "webmail.example.com", "//webmail.example.com"),
        *("https://example.com", "https://other.example.com", "https://a.webmail.example.com"),
        *("http://webmail.example.com", "https://webmail.example.com:443", f"{ORIGIN}:8443"),
        *(f"{ORIGIN}/", f"{ORIGIN}.", f"{ORIGIN} ", f" {ORIGIN}", ORIGIN.upper(), f"{ORIGIN}\0"),
        *("https://WebMail.example.com", f"{ORIGIN}.evil.example", "https://webmail-example.com"),
        *(f"{ORIGIN}, {ORIGIN}", f"{ORIGIN} https://evil.example", f"https://x@{ORIGIN[8:]}"),
        *(f"https://evil.example/{ORIGIN}", f"https://evil.example#{ORIGIN}", "https://[::1]"),
    ],
)
def test_no_route_changes_anything_for_a_page_of_others(scene: WebmailScene, origin: str) -> None:
    mail = scene.arrive("one", RAW)
    browser = scene.browser("anna")
    writes = scene.table.writes
    for method in ("POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "Post", ""):
        for _, address in every_route(mail):
            path = address.partition("?")[0]
            headers = {"origin": origin, "content-type": "application/json"}
            answer = browser.send(method, path, b"{}", {}, headers)
            assert answer.status == 403, (method, path)
            headers.pop("origin")
            assert browser.send(method, path, b"{}", {}, headers).status == 403
    assert scene.table.writes == writes


@pytest.mark.parametrize("site", ["same-site", "cross-site", "Cross-Site", " same-site "])
def test_a_page_of_others_reads_nothing_and_keeps_no_session_up(
    scene: WebmailScene, site: str
) -> None:
    """A sibling subdomain's image or form brings the cookie along: SameSite lets it."""
    mail = scene.arrive("one", RAW)
    browser = scene.browser("anna")
    scene.now += 14 * MINUTES
    writes = scene.table.writes
    for method, address in every_route(mail):
        assert ask(browser, method, address, sec_fetch_site=site).status == 403
    assert scene.table.writes == writes
    scene.now += 1 * MINUTES
    assert browser.get("/api/session").status == 401


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_page_and_a_typed_address_are_answered(scene: WebmailScene, site: str) -> None:
    assert scene.browser("anna").get("/api/mails", sec_fetch_site=site).status == 200


CLAIMS = ("iss", "aud", "sub", "jti", "iat", "exp")


def forged(scene: WebmailScene, token: str) -> Iterator[str]:
    """Yield tokens that differ from a good one in one thing."""
    good = jwt.decode(token, options={"verify_signature": False})
    for name in CLAIMS:
        yield jwt.encode({k: v for k, v in good.items() if k != name}, KEY, "HS256")
        for wrong in ("", "x", "bruno", None, True, [], [good[name]], {}, 1.5, -(10**30), 10**30):
            claims = {**good, name: wrong}
            body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
            head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
            if name == "aud" and wrong == [good["aud"]]:
                continue  # which RFC 7519 takes for the same
            signing = head + b"." + body
            yield (signing + b"." + signed(signing)).decode()
    for header in (
        *({"alg": "none"}, {"alg": "None"}, {"alg": "nOnE"}, {"alg": ""}, {"alg": None}, {}),
        *({"alg": "HS512"}, {"alg": "RS256"}, {"alg": ["HS256"]}, {"alg": {}}, {"alg": 7}),
        {"alg": "HS256", "crit": ["x"]},
        {"alg": "HS256", "b64": False},
        {"alg": "HS256", "b64": False, "crit": ["b64"]},
        [],
        "HS256",
    ):
        head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=")
        signing = head + b"." + token.split(".")[1].encode()
        for signature in (b"", b"x", token.split(".")[2].encode()):
            yield (signing + b"." + signature).decode()
    head, body, signature_ = token.split(".")
    yield from (head, f"{head}.{body}", f"{head}.{body}.", f"..{signature_}", f"{token}.{token}")
    yield from (f"{token}\0", f"{head}.{body} .{signature_}", f"Bearer {token}")
    yield from (token[:-1], token.swapcase(), token[::-1], "e30.e30.e30", "." * 1_900, "ü.ü.ü")


def signed(signing: bytes) -> bytes:
    import hashlib  # noqa: PLC0415
    import hmac  # noqa: PLC0415

    return base64.urlsafe_b64encode(hmac.new(KEY, signing, hashlib.sha256).digest()).rstrip(b"=")


def test_no_forged_token_opens_anything(scene: WebmailScene) -> None:
    browser = scene.browser("anna")
    token = browser.token
    every = list(forged(scene, token))
    assert len(every) > 120
    for each in every:
        if each == token:
            continue
        browser.token = each
        answer = browser.get("/api/session")
        assert (answer.status, scene.said) == (401, []), each
    browser.token = token
    assert browser.get("/api/session").status == 200


def test_junk_is_no_token(scene: WebmailScene) -> None:
    browser = scene.browser("anna")
    token = browser.token
    dice = random.Random(20)
    for _ in range(2_000):
        junk = list(token)
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(junk))
            junk[at : at + dice.randint(0, 3)] = chr(dice.choice([46, 61, 65, 95, 0, 255, 0x2603]))
        browser.token = "".join(junk)
        if browser.token != token:
            assert browser.get("/api/session").status == 401
    assert scene.said == []


def test_whoever_knows_another_mailbox_s_name_slows_down_himself(scene: WebmailScene) -> None:
    for number in range(4):
        stranger = scene.browser(peer=f"2001:db8:{number}::1")
        answers = [stranger.sign_in("anna", "wrong").status for _ in range(FREE + 1)]
        assert answers == [401] * FREE + [429]
    assert scene.browser(peer="2001:db8:7::1").sign_in("anna").status == 200
