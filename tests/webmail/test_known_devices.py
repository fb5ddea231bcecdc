"""Devices that signed in before: a way of their own, which no stranger has and none crowds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jwt
import pytest

from postamt_sync.webmail.keys import FixedKeys
from postamt_sync.webmail.known_devices import COOKIE, KNOWN_SECONDS
from postamt_sync.webmail.secret import SecretHash
from postamt_sync.webmail.sessions import COOKIE as SESSION_COOKIE
from postamt_sync.webmail.slow_down import FREE
from postamt_sync.webmail.webmail import Webmail
from tests.doubles.webmail import DEVICE_KEY, KEY, SECRET, WebBrowser, WebmailScene

DAYS = 86_400
OTHER_SECRET = "another secret of some length"


@pytest.fixture
def known(scene: WebmailScene) -> WebBrowser:
    """A browser that anna signed in with, and out again."""
    browser = scene.browser("anna")
    browser.post("/api/sign-out")
    assert browser.token == ""
    return browser


def said(answer: Any) -> Any:
    return json.loads(answer.body)


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def test_a_device_that_signed_in_before_has_its_own_way(known: WebBrowser) -> None:
    answer = known.sign_in_known("anna")
    assert answer.status == 200
    assert said(answer)["mailbox"] == "anna"
    assert known.look("/api/session")["mailbox"] == "anna"
    assert known.sign_in_known(" anna ").status == 200


def test_the_cookie_opens_nothing_without_the_secret(known: WebBrowser) -> None:
    assert known.get("/api/session").status == 401
    assert said(known.sign_in_known("anna", "wrong"))["code"] == "wrong"
    known.token = known.device
    assert known.get("/api/session").status == 401


def test_it_tells_whoever_reads_it_neither_mailbox_nor_secret(
    known: WebBrowser, scene: WebmailScene
) -> None:
    found = claims(known.device)
    assert found.keys() == {"iss", "aud", "iat", "exp", "jti", "for"}
    assert found["exp"] - found["iat"] == KNOWN_SECONDS
    user = scene.users.find("anna")
    assert user is not None
    for word in ("anna", user.secret.digest.hex(), user.secret.salt.hex()):
        assert word not in json.dumps(found)


def test_it_stays_the_same_device_for_one_mailbox_alone(known: WebBrowser) -> None:
    first = claims(known.device)
    known.sign_in_known("anna")
    assert claims(known.device)["jti"] == first["jti"]
    known.sign_in("anna")
    assert claims(known.device)["jti"] == first["jti"]
    known.sign_in("bruno")
    assert claims(known.device)["jti"] != first["jti"]


def forged(scene: WebmailScene, known: WebBrowser, **changed: Any) -> str:
    whole = {**claims(known.device), **changed}
    return jwt.encode({k: v for k, v in whole.items() if v is not None}, DEVICE_KEY, "HS256")


def variants(scene: WebmailScene, known: WebBrowser) -> dict[str, str]:
    """What is no good cookie of anna's, by what is wrong with it; as Cookie headers."""
    head, body, signature = known.device.split(".")
    bruno = scene.browser("bruno").device
    session = scene.browser("anna").token
    found = claims(known.device)
    tokens = {
        "another key": jwt.encode(found, b"x" * 32, "HS256"),
        "the key of sessions": jwt.encode(found, KEY, "HS256"),
        "another method": jwt.encode(found, DEVICE_KEY * 2, "HS512"),
        "no signature": f"{head}.{body}.",
        "a cut signature": known.device[:-4],
        "of another body": f"{head}.{bruno.split('.')[1]}.{signature}",
        "of another mailbox": bruno,
        "a session's token": session,
        "of another audience": forged(scene, known, aud="webmail.example.com"),
        "of another issuer": forged(scene, known, iss="someone"),
        "for nobody": forged(scene, known, **{"for": ""}),
        "for a number": forged(scene, known, **{"for": 7}),
        "without a device": forged(scene, known, jti=None),
        "without an end": forged(scene, known, exp=None),
        "of tomorrow": forged(scene, known, iat=int(scene.now) + DAYS),
        "expired": forged(scene, known, exp=int(scene.now) - 1),
        "not ASCII": "ä.ö.ü",
        "endless": "x" * 7_000,
        "a number": "7",
    }
    cookies = {what: f"{COOKIE}={token}" for what, token in tokens.items()}
    return cookies | {
        "none": "",
        "empty": f"{COOKIE}=",
        "twice": f"{COOKIE}={known.device}; {COOKIE}={known.device}",
        "after a stranger's": f"{COOKIE}=x; {COOKIE}={known.device}",
        "of another name": f"postamt-device={known.device}",
        "as the session": f"{SESSION_COOKIE}={known.device}",
    }


def test_whatever_is_wrong_leads_to_the_usual_way_by_the_same_words(
    scene: WebmailScene, known: WebBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = variants(scene, known)
    assert len(every) == 25
    hashed: list[str] = []
    monkeypatch.setattr(SecretHash, "fits", lambda _, text: hashed.append(text) or True)
    writes = scene.table.writes
    for mailbox, secret in (("anna", SECRET), ("anna", "wrong"), ("nobody", SECRET), ("", "")):
        answers = {
            (a.status, a.body, a.cookies)
            for a in (known.sign_in_known(mailbox, secret, cookie=c) for c in every.values())
        }
        ((status, body, cookies),) = answers
        assert (status, json.loads(body)["code"], cookies) == (401, "new-device", ())
    assert hashed == [], "nobody's secret was looked at"
    assert scene.table.writes == writes


def test_another_secret_ends_it_and_signing_out_everywhere_does_not(
    scene: WebmailScene, known: WebBrowser
) -> None:
    other = scene.browser("anna")
    assert other.post("/api/sign-out-everywhere").status == 200
    assert known.sign_in_known("anna").status == 200
    scene.users.rotate("anna", OTHER_SECRET)
    assert said(known.sign_in_known("anna", OTHER_SECRET))["code"] == "new-device"
    assert known.sign_in("anna", OTHER_SECRET).status == 200
    assert known.sign_in_known("anna", OTHER_SECRET).status == 200
    scene.users.rotate("anna", OTHER_SECRET)  # the same words, and yet another secret
    assert said(known.sign_in_known("anna", OTHER_SECRET))["code"] == "new-device"


def test_who_was_removed_and_let_in_again_signs_in_as_on_a_new_device(
    scene: WebmailScene, known: WebBrowser
) -> None:
    scene.users.remove("anna")
    assert said(known.sign_in_known("anna"))["code"] == "new-device"
    scene.let_in("anna")
    assert said(known.sign_in_known("anna"))["code"] == "new-device"


def test_it_lasts_as_long_as_it_is_used(scene: WebmailScene, known: WebBrowser) -> None:
    for _ in range(4):
        scene.now += KNOWN_SECONDS - DAYS
        assert known.sign_in_known("anna").status == 200
    scene.now += KNOWN_SECONDS
    assert said(known.sign_in_known("anna"))["code"] == "new-device"


def test_strangers_at_the_same_address_slow_it_down_in_nothing(
    scene: WebmailScene, known: WebBrowser
) -> None:
    stranger = scene.browser()
    for _ in range(FREE + 1):
        last = stranger.sign_in("anna", "wrong").status
    assert last == 429
    assert known.sign_in("anna").status == 429
    assert known.sign_in_known("anna").status == 200


def test_a_thief_of_the_cookie_slows_down_himself_alone(
    scene: WebmailScene, known: WebBrowser
) -> None:
    thief = scene.browser(peer="203.0.113.9")
    thief.device = known.device
    answers = [thief.sign_in_known("anna", "wrong").status for _ in range(FREE + 3)]
    assert answers == [401] * FREE + [429] * 3
    for n in range(20):  # another address helps him nothing
        thief = scene.browser(peer=f"203.0.113.{n}")
        thief.device = known.device
        assert thief.sign_in_known("anna", "wrong").status == 429
    # The owner comes in by the usual way at once, and by his own after a moment.
    assert known.sign_in("anna").status == 200
    scene.now += 2
    assert known.sign_in_known("anna").status == 200


@pytest.mark.parametrize("origin", ["", "null", "https://other.example.com"])
def test_a_page_of_others_does_not_try_it(known: WebBrowser, origin: str) -> None:
    assert known.sign_in_known("anna", origin=origin).status == 403


def test_an_older_key_still_knows_it(scene: WebmailScene, known: WebBrowser) -> None:
    new = b"n" * 32
    known.webmail = Webmail(replace(scene.ports, device_keys=FixedKeys(new, DEVICE_KEY)))
    old = known.device
    assert known.sign_in_known("anna").status == 200
    known.webmail = Webmail(replace(scene.ports, device_keys=FixedKeys(new)))
    assert known.sign_in_known("anna").status == 200
    known.device = old
    assert said(known.sign_in_known("anna"))["code"] == "new-device"
