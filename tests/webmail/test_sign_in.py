"""Signing in and out, sessions, and who is let through the gate."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from typing import Any

import jwt
import pytest

from postamt_sync.errors import UsageError
from postamt_sync.webmail.keys import FixedKeys
from postamt_sync.webmail.known_devices import COOKIE as DEVICE_COOKIE
from postamt_sync.webmail.secret import SecretHash, chosen, make_secret
from postamt_sync.webmail.sessions import COOKIE
from postamt_sync.webmail.slow_down import FREE, LONGEST_PAUSE
from postamt_sync.webmail.webmail import Webmail
from tests.doubles.webmail import KEY, SECRET, WebmailScene

SECONDS = 1.0
MINUTES = 60 * SECONDS
HOURS = 60 * MINUTES


def said(answer: Any) -> Any:
    return json.loads(answer.body)


def test_the_right_secret_opens_a_session(scene: WebmailScene) -> None:
    browser = scene.browser()
    answer = browser.sign_in("anna")
    assert answer.status == 200
    assert said(answer)["mailbox"] == "anna"
    assert (said(answer)["idle_in"], said(answer)["ends_in"]) == (900, 43_200)
    cookie, device = answer.cookies
    assert cookie.startswith(f"{COOKIE}=")
    assert cookie.split("; ")[1:] == [
        *("Path=/", "Max-Age=3600", "HttpOnly", "Secure", "SameSite=Strict")
    ]
    assert device.startswith(f"{DEVICE_COOKIE}=")
    assert device.split("; ")[1:] == [
        *("Path=/", "Max-Age=15552000", "HttpOnly", "Secure", "SameSite=Strict")
    ]
    assert browser.look("/api/session")["mailbox"] == "anna"


@pytest.mark.parametrize(
    ("mailbox", "secret"),
    [
        ("anna", "wrong horse battery staple"),
        ("anna", ""),
        ("anna", "\ud800 half a character"),
        ("anna", SECRET + "\0"),
        ("nobody", SECRET),
        ("", SECRET),
        ("anna" * 100, SECRET),
        ("\ud800", SECRET),
        ("user", SECRET),
        ("anna", "x" * 1_900),
        ("bruno#", SECRET),
        ("漢字", "漢字" * 20),
    ],
)
def test_what_is_wrong_looks_all_the_same(scene: WebmailScene, mailbox: str, secret: str) -> None:
    browser = scene.browser()
    answer = browser.sign_in(mailbox, secret)
    assert answer.status == 401
    assert said(answer)["code"] == "wrong"
    assert answer.cookies == ()
    assert browser.get("/api/session").status == 401


@pytest.mark.parametrize(
    "fields", [[], "x", 7, None, {"mailbox": 1}, {"mailbox": "anna", "secret": None}]
)
def test_what_is_no_sign_in_is_refused(scene: WebmailScene, fields: Any) -> None:
    browser = scene.browser()
    body = json.dumps(fields).encode()
    headers = {"origin": "https://webmail.example.com", "content-type": "application/json"}
    assert browser.send("POST", "/api/sign-in", body, {}, headers).status == 400
    assert browser.send("POST", "/api/sign-in", b"\xff{", {}, headers).status == 400
    assert browser.send("POST", "/api/sign-in", b"[" * 60_000, {}, headers).status == 400
    assert browser.send("POST", "/api/sign-in", b" " * 70_000, {}, headers).status == 413
    headers["content-type"] = "text/plain"
    assert browser.send("POST", "/api/sign-in", body, {}, headers).status == 415


def test_a_secret_counts_in_every_form_of_unicode(scene: WebmailScene) -> None:
    secret = "Äpfel, Öfen und Gemüsesuppe — è così"
    scene.users.rotate("anna", unicodedata.normalize("NFD", secret))
    assert scene.browser().sign_in("anna", unicodedata.normalize("NFC", secret)).status == 200
    assert scene.browser().sign_in("anna", f" {secret}\n").status == 200


def test_a_wrong_name_costs_the_same_work(
    scene: WebmailScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    fits = SecretHash.fits
    monkeypatch.setattr(SecretHash, "fits", lambda s, text: hashed.append(text) or fits(s, text))
    scene.browser().sign_in("nobody", "a")
    scene.browser().sign_in("anna", "b")
    assert hashed == ["a", "b"]


@pytest.mark.parametrize(
    "origin",
    [
        *("", "null", "https://other.example.com", "http://webmail.example.com"),
        *("https://webmail.example.com.evil.example", "https://webmail.example.com:8443"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_another_origin_changes_nothing(scene: WebmailScene, origin: str, method: str) -> None:
    browser = scene.browser("anna")
    headers = {"origin": origin} if origin else {}
    headers["content-type"] = "application/json"
    writes = scene.table.writes
    for path in ("/api/sign-in", "/api/sign-out", "/api/sign-out-everywhere", "/api/mails/x/seen"):
        assert browser.send(method, path, b"{}", {}, headers).status == 403
    assert scene.table.writes == writes
    cross = {"origin": "https://webmail.example.com", "sec_fetch_site": "same-site"}
    assert browser.post("/api/sign-out", **cross).status == 403
    assert browser.look("/api/session")


def test_a_person_keeps_a_session_up_and_the_page_does_not(scene: WebmailScene) -> None:
    browser = scene.browser("anna")
    scene.now += 14 * MINUTES
    by_itself = {"postamt_by_itself": "1"}
    assert said(browser.get("/api/session", **by_itself))["idle_in"] == 60
    scene.now += 59
    assert browser.look("/api/session")["idle_in"] == 900
    for _ in range(14):
        scene.now += 1 * MINUTES
        assert browser.get("/api/session", **by_itself).status == 200
    scene.now += 1 * MINUTES
    assert browser.get("/api/session", **by_itself).status == 401
    assert browser.get("/api/session").status == 401


def test_a_page_of_another_mailbox_is_signed_out_and_keeps_nothing_up(scene: WebmailScene) -> None:
    scene.let_in("Bärbel/ü")
    browser = scene.browser("Bärbel/ü")
    scene.now += 14 * 60
    for other in ("anna", "B%C3%A4rbel", "%ff"):
        answer = browser.get("/api/session", postamt_mailbox=other)
        assert (answer.status, said(answer)["code"]) == (401, "signed-out")
        assert browser.post("/api/sign-out", postamt_mailbox=other).status == 401
    assert said(browser.get("/api/session", postamt_by_itself="1"))["idle_in"] == 60
    for same in ("B%C3%A4rbel%2F%C3%BC", ""):
        assert browser.get("/api/session", postamt_mailbox=same).status == 200


def test_twelve_hours_end_it_in_any_case(scene: WebmailScene) -> None:
    browser = scene.browser("anna")
    for _ in range(12 * 6 - 1):
        scene.now += 10 * MINUTES
        assert browser.get("/api/session").status == 200
    assert browser.look("/api/session")["ends_in"] == 600
    scene.now += 10 * MINUTES
    assert browser.get("/api/session").status == 401


def test_signing_out_ends_it_on_the_server_too(scene: WebmailScene) -> None:
    browser, other = scene.browser("anna"), scene.browser("anna")
    replayed = browser.token
    assert browser.post("/api/sign-out").status == 200
    assert browser.token == ""
    browser.token = replayed
    assert browser.get("/api/session").status == 401
    assert other.get("/api/session").status == 200


def test_signing_out_everywhere_ends_all_of_this_mailbox(scene: WebmailScene) -> None:
    browser, other, bruno = scene.browser("anna"), scene.browser("anna"), scene.browser("bruno")
    assert other.post("/api/sign-out-everywhere").status == 200
    assert browser.get("/api/session").status == 401
    assert bruno.get("/api/session").status == 200
    assert browser.sign_in("anna").status == 200


def test_another_secret_and_removal_end_sessions(scene: WebmailScene) -> None:
    anna, bruno = scene.browser("anna"), scene.browser("bruno")
    scene.users.rotate("anna", "another secret of some length")
    scene.users.remove("bruno")
    assert anna.get("/api/session").status == 401
    assert bruno.get("/api/session").status == 401
    assert scene.browser().sign_in("anna").status == 401
    scene.users.add("bruno", SECRET)
    assert bruno.get("/api/session").status == 401


def test_a_request_under_way_does_not_undo_signing_out(scene: WebmailScene) -> None:
    browser = scene.browser("anna")
    get = scene.table.get

    def read_then_sign_out(holder: str, name: str) -> Any:
        found = get(holder, name)
        if holder == "user":
            for key in [k for k in scene.table.kept if k[0] == "session"]:
                del scene.table.kept[key]
        return found

    scene.table.get = read_then_sign_out  # type: ignore[method-assign]
    assert browser.get("/api/session").status == 401
    assert not [k for k in scene.table.kept if k[0] == "session"]


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def test_the_token_says_little_and_lives_an_hour(scene: WebmailScene) -> None:
    browser = scene.browser("anna")
    found = claims(browser.token)
    assert found["iss"] == "postamt-sync"
    assert found["aud"] == "webmail.example.com"
    assert found["exp"] - found["iat"] == 3_600
    first = browser.token
    scene.now += 9 * MINUTES
    browser.get("/api/session")
    assert browser.token == first
    scene.now += 2 * MINUTES
    browser.get("/api/session")
    assert browser.token != first
    browser.token = first
    scene.now += 14 * MINUTES
    assert browser.get("/api/session").status == 200


def test_an_expired_token_is_none_though_its_session_lasts(scene: WebmailScene) -> None:
    browser = scene.browser("anna")
    first = browser.token
    for _ in range(6):
        scene.now += 10 * MINUTES
        assert browser.get("/api/session").status == 200
    browser.token = first
    assert browser.get("/api/session").status == 401


@pytest.mark.parametrize(
    ("changed", "key", "algorithm"),
    [
        ({}, b"x" * 32, "HS256"),
        ({}, None, "none"),
        ({}, KEY * 2, "HS512"),
        ({"aud": "other.example.com"}, KEY, "HS256"),
        ({"iss": "someone"}, KEY, "HS256"),
        ({"exp": None}, KEY, "HS256"),
        ({"exp": "never"}, KEY, "HS256"),
        ({"exp": 1}, KEY, "HS256"),
        ({"iat": 9_999_999_999, "exp": 99_999_999_999}, KEY, "HS256"),
        ({"sub": "bruno"}, KEY, "HS256"),
        ({"sub": ""}, KEY, "HS256"),
        ({"jti": "another"}, KEY, "HS256"),
        ({"jti": 7}, KEY, "HS256"),
    ],
)
def test_a_forged_token_is_none(
    scene: WebmailScene, changed: dict[str, Any], key: Any, algorithm: str
) -> None:
    browser = scene.browser("anna")
    forged = {k: v for k, v in {**claims(browser.token), **changed}.items() if v is not None}
    try:
        browser.token = jwt.encode(forged, key, algorithm)
    except TypeError:  # the library itself does not sign this
        browser.token = ""
    assert browser.get("/api/session").status == 401


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "x",
        f"{COOKIE}=",
        f"{COOKIE}=a.b.c",
        f"{COOKIE}={'x' * 5_000}",
        f'{COOKIE}="\\012"',
        f"{COOKIE}=\ud800",
        f"{COOKIE[7:]}=TOKEN",
        f"{COOKIE}=TOKEN; {COOKIE}=TOKEN",
        f"{COOKIE}=x; {COOKIE}=TOKEN",
    ],
)
def test_what_is_no_cookie_of_ours_opens_nothing(scene: WebmailScene, cookie: str) -> None:
    browser = scene.browser("anna")
    sent = cookie.replace("TOKEN", browser.token)
    assert browser.get("/api/session", cookie=sent).status == 401


def test_an_older_key_still_verifies(scene: WebmailScene) -> None:
    old = scene.browser("anna").token
    browser = scene.browser()
    browser.webmail = Webmail(replace(scene.ports, keys=FixedKeys(b"n" * 32, KEY)))
    browser.token = old
    assert browser.get("/api/session").status == 200
    browser.webmail = Webmail(replace(scene.ports, keys=FixedKeys(b"n" * 32)))
    assert browser.get("/api/session").status == 401
    with pytest.raises(ValueError, match="32 bytes"):
        FixedKeys(b"short")


class TestSlowDown:
    def test_wrong_ones_get_slower_and_the_owner_comes_in(self, scene: WebmailScene) -> None:
        browser = scene.browser()
        for _ in range(FREE):
            assert browser.sign_in("anna", "wrong").status == 401
        waits = []
        for _ in range(10):
            answer = browser.sign_in("anna")  # even the right one has to wait
            assert answer.status == 429
            assert said(answer)["code"] == "slow-down"
            waits.append(said(answer)["wait"])
            assert answer.headers["Retry-After"] == str(waits[-1])
            scene.now += waits[-1]
            assert browser.sign_in("anna", "wrong").status == 401
        assert waits == sorted(waits)
        assert waits[-1] == LONGEST_PAUSE
        scene.now += LONGEST_PAUSE
        assert browser.sign_in("anna").status == 200

    def test_others_are_not_slowed_down(self, scene: WebmailScene) -> None:
        stranger = scene.browser(peer="203.0.113.9")
        for _ in range(FREE + 1):
            last = stranger.sign_in("anna", "wrong").status
        assert last == 429
        assert scene.browser().sign_in("anna").status == 200

    def test_what_comes_too_early_does_not_count(self, scene: WebmailScene) -> None:
        browser = scene.browser()
        for _ in range(FREE):
            browser.sign_in("anna", "wrong")
        for _ in range(500):
            assert browser.sign_in("anna", "wrong").status == 429
        scene.now += 2
        assert browser.sign_in("anna").status == 200

    @pytest.mark.parametrize(
        ("one", "other", "together"),
        [
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
            ("192.0.2.1", "192.0.2.2", False),
            ("192.0.2.1", "::ffff:192.0.2.1", True),
            ("nonsense", "", True),
        ],
    )
    def test_an_owner_of_many_addresses_is_one(
        self, scene: WebmailScene, one: str, other: str, together: bool
    ) -> None:
        for _ in range(FREE):
            scene.browser(peer=one).sign_in("anna", "wrong")
        assert (scene.browser(peer=other).sign_in("anna").status == 429) is together

    def test_success_and_time_forget(self, scene: WebmailScene) -> None:
        browser = scene.browser()
        for _ in range(FREE - 1):
            browser.sign_in("anna", "wrong")
        assert browser.sign_in("anna").status == 200
        for _ in range(FREE):
            assert browser.sign_in("anna", "wrong").status == 401
        scene.now += 2 * HOURS
        for _ in range(FREE):
            assert browser.sign_in("anna", "wrong").status == 401

    def test_of_many_at_once_no_more_pass(self, scene: WebmailScene) -> None:
        """Another try is counted between our look and our write, each time."""
        browser = scene.browser()
        for _ in range(FREE):
            browser.sign_in("anna", "wrong")
        scene.now += 2
        put = scene.table.put

        def raced(holder: str, name: str, fields: Any, *, expect: Any = True) -> bool:
            if holder == "tries":
                scene.table.put = put  # type: ignore[method-assign]
                assert browser.sign_in("anna", "wrong").status == 401
            return put(holder, name, fields, expect=expect)

        scene.table.put = raced  # type: ignore[method-assign]
        assert browser.sign_in("anna").status == 429


class TestSecret:
    def test_a_made_one_has_enough_bits_and_differs(self) -> None:
        made = {make_secret() for _ in range(50)}
        assert len(made) == 50
        assert all(len(each.replace("-", "")) * 5 >= 128 for each in made)
        assert all(chosen(each) == each for each in made)

    @pytest.mark.parametrize(
        "secret", ["", "x" * 19, "x" * 40, "abababababababababababab", "ä" * 19]
    )
    def test_a_chosen_one_may_not_be_short_or_dull(self, secret: str) -> None:
        with pytest.raises(UsageError):
            chosen(secret)

    def test_a_chosen_one_may_not_be_endless(self) -> None:
        with pytest.raises(UsageError):
            chosen("abcdefgh" * 200)
        assert chosen("twenty characters it") == "twenty characters it"

    @pytest.mark.slow
    def test_its_hash_is_salted_and_can_be_kept(self) -> None:
        one, other = SecretHash.of(SECRET), SecretHash.of(SECRET)
        assert one.digest != other.digest
        assert SecretHash.read(str(one)) == one
        assert SECRET not in str(one)
        assert one.fits(SECRET)
        assert not one.fits(SECRET + "x")

    @pytest.mark.parametrize(
        "text", ["", "x", "md5$1$a$b", "scrypt$0$YQ==$YQ==", "scrypt$99999999$YQ==$YQ=="]
    )
    def test_another_hash_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r".*"):
            SecretHash.read(text)


class TestUsers:
    def test_one_alone_sees_all(self, scene: WebmailScene) -> None:
        scene.users.add("admin", SECRET, sees_all=True)
        with pytest.raises(UsageError, match="admin"):
            scene.users.add("other", SECRET, sees_all=True)
        assert [u.mailbox for u in scene.users.everyone()] == ["admin", "anna", "bruno"]
        assert scene.browser("admin").look("/api/session")["all"] is True

    def test_nobody_is_added_twice_or_changed_unknown(self, scene: WebmailScene) -> None:
        for change in (
            lambda: scene.users.add("anna", SECRET),
            lambda: scene.users.rotate("nobody", SECRET),
            lambda: scene.users.remove("nobody"),
        ):
            with pytest.raises(UsageError):
                change()
