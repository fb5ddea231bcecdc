"""Mails that belong together, and what those who forge ids can do with it: nothing."""

from __future__ import annotations

from typing import Any

import pytest

from postamt_sync.webmail.conversations import MOST, MOST_LINKS, MOST_LOOKUPS
from tests.doubles.webmail import WebBrowser, WebmailScene
from tests.webmail.test_sending import MAIL


@pytest.fixture(params=["index", "lists"])
def scene(request: pytest.FixtureRequest) -> WebmailScene:
    scene = WebmailScene(lists=request.param == "lists")
    scene.let_in("anna", "bruno")
    return scene


def raw(own: str = "", references: str = "", answers: str = "", subject: str = "s") -> bytes:
    fields = {"Message-ID": own, "References": references, "In-Reply-To": answers}
    lines = [f"{name}: {value}\r\n" for name, value in fields.items() if value]
    return f"From: a@b.example\r\nSubject: {subject}\r\n{''.join(lines)}\r\nx\r\n".encode()


def arrive(scene: WebmailScene, name: str, *said: str, **more: Any) -> str:
    number = len(scene.index.entries)
    moment = f"2026-11-2{number // 60 % 8}T10:{number % 60:02}:{number // 480:02}.000Z"
    return scene.arrive(name, raw(*said, subject=name), received_at=moment, **more)


def conversation(browser: WebBrowser, address: str) -> list[str]:
    found = browser.look(f"/api/mails/{address}/conversation")["mails"]
    return [mail["subject"] for mail in found]


def test_answers_are_found_from_each_of_them_oldest_first(scene: WebmailScene) -> None:
    ids = [
        arrive(scene, "a", "<a@x>"),
        arrive(scene, "other", "<o@x>"),
        arrive(scene, "b", "<b@x>", "<a@x>"),
        arrive(scene, "c", "<c@x>", "<a@x> <b@x>", "<b@x>"),
        arrive(scene, "d", "<d@x>", "", "<c@x>"),  # In-Reply-To alone
    ]
    browser = scene.browser("anna")
    for number in (0, 2, 3, 4):
        assert conversation(browser, ids[number]) == ["a", "b", "c", "d"]
    assert conversation(browser, ids[1]) == ["other"]


def test_the_subject_says_nothing_and_neither_does_what_has_no_id(scene: WebmailScene) -> None:
    first = scene.arrive("m1", raw(subject="Re: the same"))
    scene.arrive("m2", raw(subject="Re: the same"))
    assert conversation(scene.browser("anna"), first) == ["Re: the same"]


def test_another_mailbox_s_mail_belongs_to_no_conversation_of_ours(scene: WebmailScene) -> None:
    mine = arrive(scene, "mine", "<a@x>")
    theirs = arrive(scene, "theirs", "<b@x>", "<a@x>", to=("bruno@example.com",))
    assert conversation(scene.browser("anna"), mine) == ["mine"]
    assert conversation(scene.browser("bruno"), theirs) == ["theirs"]
    anna = scene.browser("anna")
    assert anna.get(f"/api/mails/{theirs}/conversation").status == 404
    assert scene.browser().get(f"/api/mails/{mine}/conversation").status == 401


def test_loops_end(scene: WebmailScene) -> None:
    first = arrive(scene, "a", "<a@x>", "<b@x> <a@x> <c@x>")
    arrive(scene, "b", "<b@x>", "<c@x>")
    arrive(scene, "c", "<c@x>", "<a@x> <c@x>")
    assert conversation(scene.browser("anna"), first) == ["a", "b", "c"]


def test_two_mails_of_one_message_id_are_both_there(scene: WebmailScene) -> None:
    first = arrive(scene, "one", "<a@x>")
    arrive(scene, "two", "<a@x>")
    assert conversation(scene.browser("anna"), first) == ["one", "two"]


@pytest.mark.parametrize(
    "references",
    [
        " ".join(f"<{n}@x>" for n in range(50_000)),
        "<" * 100_000,
        f"<{'x' * 100_000}@x>",
        "<>" * 1_000,
        "<a b\r\n c@x>",
        "\u00fc<\u00fc@x>",
    ],
)
def test_huge_and_odd_references_are_kept_within_bounds(
    scene: WebmailScene, references: str
) -> None:
    first = arrive(scene, "odd", "<own@x>", references)
    arrive(scene, "answer", "<b@x>", "<own@x>")
    browser = scene.browser("anna")
    assert conversation(browser, first) == ["odd", "answer"]
    for mail in browser.look("/api/mails")["mails"]:
        assert len(mail["links"]) <= MOST_LINKS
        assert all(len(link) == 16 for link in mail["links"])


def test_an_id_that_is_too_long_is_the_same_in_both_fields(scene: WebmailScene) -> None:
    long = f"<{'y' * 900}@x>"
    first = arrive(scene, "a", long)
    arrive(scene, "b", "<b@x>", long)
    assert conversation(scene.browser("anna"), first) == ["a", "b"]


def test_a_conversation_has_an_end(scene: WebmailScene) -> None:
    names = [arrive(scene, f"m{n}", f"<{n}@x>", "<root@x>") for n in range(MOST + 50)]
    found = conversation(scene.browser("anna"), names[0])
    assert 0 < len(found) <= MOST


def test_a_conversation_is_looked_for_in_bounded_time() -> None:
    """Also where all that is found is not to be shown: each id leads to mails that are gone."""
    scene = WebmailScene(lists=True)
    scene.let_in("anna")
    for number in range(20):
        for other in range(40):
            arrive(scene, f"m{number}.{other}", f"<{number}.{other}@x>", f"<{number}@x>")
    first = arrive(scene, "first", "<f@x>", " ".join(f"<{n}@x>" for n in range(20)))
    for name in [name for name in scene.index.entries if name != "first"]:
        del scene.index.entries[name]
    browser = scene.browser("anna")
    scene.index.asked = 0
    assert conversation(browser, first) == ["first"]
    assert scene.index.asked <= MOST_LOOKUPS


def test_mails_of_one_conversation_share_what_the_list_says_of_them(scene: WebmailScene) -> None:
    arrive(scene, "a", "<a@x>")
    arrive(scene, "b", "<b@x>", "<a@x>")
    arrive(scene, "other", "<o@x>")
    links = {
        m["subject"]: set(m["links"]) for m in scene.browser("anna").look("/api/mails")["mails"]
    }
    assert links["a"] & links["b"]
    assert not links["other"] & (links["a"] | links["b"])


def test_what_was_answered_here_is_a_part_of_it(scene: WebmailScene) -> None:
    first = arrive(scene, "question", "<q@x>")
    browser = scene.browser("anna")
    fields = {**MAIL, "subject": "Re: question", "answers": first}
    assert browser.post("/api/send", fields).status == 200
    assert conversation(browser, first) == ["question", "Re: question"]
    (mine,) = browser.look("/api/mails?folder=sent")["mails"]
    assert conversation(browser, mine["id"]) == ["question", "Re: question"]


def test_the_list_tells_of_an_attachment(scene: WebmailScene) -> None:
    scene.arrive("plain", b"Subject: plain\r\nContent-Type: text/plain\r\n\r\nx")
    mixed = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"
    scene.arrive("mixed", b"Subject: mixed\r\n" + mixed)
    found = scene.browser("anna").look("/api/mails")["mails"]
    assert {m["subject"]: m["attachment"] for m in found} == {"plain": False, "mixed": True}
