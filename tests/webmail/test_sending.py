"""Writing: who may, to whom, what becomes of it, and never twice."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import random
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from postamt_sync.webmail.exchange import RefusedRequestError
from postamt_sync.webmail.mail_list import mail_address
from postamt_sync.webmail.mailer import PerhapsSentError, SurelyNotSentError
from postamt_sync.webmail.site import site
from postamt_sync.webmail.typed_addresses import typed_addresses
from tests.doubles.webmail import ORIGIN, WebBrowser, WebmailScene
from tests.webmail.test_reading_pages import NEWSLETTER

DRAFT = "0f0e0d0c-0000-4000-8000-000000000001"
MAIL = {
    "draft": DRAFT,
    "from": "anna@example.com",
    "name": "Anna Ärger",
    "to": "Bo <bo@x.example>, c@x.example",
    "cc": "d@x.example",
    "bcc": "secret@x.example",
    "subject": "Grüße 📬",
    "text": "Hello\nGrüße\n.\nFrom here",
}
AWS_IS_AWAY = ClientError({"Error": {"Code": "InternalError"}}, "PutObject")


def send(browser: WebBrowser, **changes: Any) -> tuple[int, Any]:
    answer = browser.post("/api/send", {**MAIL, **changes})
    return answer.status, json.loads(answer.body)


def sent(scene: WebmailScene) -> Any:
    (_, _, raw) = scene.mailer.sent[-1]
    return email.message_from_bytes(raw, policy=email.policy.default)


def test_a_mail_is_sent_as_it_was_typed(scene: WebmailScene, browser: WebBrowser) -> None:
    assert send(browser) == (200, {"state": "sent"})
    ((sender, recipients, raw),) = scene.mailer.sent
    assert sender == "anna@example.com"
    assert recipients == ("bo@x.example", "c@x.example", "d@x.example", "secret@x.example")
    assert b"secret" not in raw
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    message = sent(scene)
    assert message["From"] == "Anna Ärger <anna@example.com>"
    assert message["To"] == "Bo <bo@x.example>, c@x.example"
    assert message["Cc"] == "d@x.example"
    assert message["Subject"] == "Grüße 📬"
    assert message.get_content() == MAIL["text"].replace("\n", "\r\n") + "\r\n"


def test_the_longest_quotation_that_the_page_begins_fits(
    scene: WebmailScene, browser: WebBrowser
) -> None:
    """At worst each character is a line of its own, which gets a mark."""
    (quoted,) = re.findall(rb"const QUOTED = (\w+);", site()["/compose.js"].content)
    text = "\n>" * int(float(quoted))
    assert send(browser, text=text) == (200, {"state": "sent"})
    assert sent(scene).get_content().count(">") == text.count(">")


def test_what_was_sent_is_kept_under_the_id_that_ses_gave(
    scene: WebmailScene, browser: WebBrowser
) -> None:
    send(browser)
    kept = scene.store.objects[f"sent/anna/2026-11/{DRAFT}"]
    assert kept.startswith(
        b"Message-ID: <ses-1@eu-west-1.amazonses.com>\r\nBcc: secret@x.example\r\n"
    )
    ((_, _, raw),) = scene.mailer.sent
    assert kept.split(b"\r\n", 2)[2] == raw.split(b"\r\n", 1)[1]
    assert scene.store.objects[f"outbox/anna/{DRAFT}"] == raw
    (line,) = browser.look("/api/mails?folder=sent")["mails"]
    assert line["subject"] == "Grüße 📬"
    assert line["to"] == "bo@x.example, c@x.example, d@x.example"
    read = browser.look(f"/api/mails/{line['id']}")
    assert read["text"].startswith("Hello\nGrüße")
    bruno = scene.browser("bruno")
    assert bruno.get(f"/api/mails/{line['id']}").status == 404
    assert bruno.look("/api/mails?folder=sent")["mails"] == []
    assert bruno.look(f"/api/drafts/{DRAFT}") == {"state": "unsent"}


def test_sent_mail_is_paged_and_searched(scene: WebmailScene, browser: WebBrowser) -> None:
    for number in range(60):
        scene.now += 1
        send(browser, draft=f"{number:020}", subject=f"number {number}")
    page = browser.look("/api/mails?folder=sent")
    assert [m["subject"] for m in page["mails"]] == [f"number {n}" for n in range(59, 9, -1)]
    rest = browser.look(f"/api/mails?folder=sent&cursor={page['cursor']}")
    assert [m["subject"] for m in rest["mails"]] == [f"number {n}" for n in range(9, -1, -1)]
    assert page["reached"] == "2026-11"
    assert (rest["cursor"], rest["reached"]) == ("", "")
    found = browser.look("/api/mails?folder=sent&q=number 42")["mails"]
    assert [m["subject"] for m in found] == ["number 42"]


class TestOnce:
    def test_the_same_draft_again_is_the_same_mail(
        self, scene: WebmailScene, browser: WebBrowser
    ) -> None:
        for _ in range(3):
            assert send(browser) == (200, {"state": "sent"})
        assert send(browser, text="another") == (200, {"state": "sent"})
        assert scene.mailer.asked == 1

    def test_a_lost_answer_is_perhaps_sent_and_never_asked_again(
        self, scene: WebmailScene, browser: WebBrowser
    ) -> None:
        scene.mailer.fails = [PerhapsSentError()]
        assert send(browser) == (202, {"state": "perhaps"})
        assert send(browser) == (202, {"state": "perhaps"})
        assert browser.look(f"/api/drafts/{DRAFT}") == {"state": "perhaps"}
        assert scene.mailer.asked == 1
        assert f"outbox/anna/{DRAFT}" in scene.store.objects
        assert browser.look("/api/mails?folder=sent")["mails"] == []

    def test_a_crash_while_ses_is_asked_is_the_same(
        self, scene: WebmailScene, browser: WebBrowser
    ) -> None:
        scene.mailer.fails = [KeyboardInterrupt()]
        with pytest.raises(KeyboardInterrupt):
            send(browser)
        assert send(browser) == (202, {"state": "perhaps"})
        assert scene.mailer.asked == 1

    def test_what_ses_refuses_may_be_tried_again(
        self, scene: WebmailScene, browser: WebBrowser
    ) -> None:
        scene.mailer.fails = [SurelyNotSentError("SES refuses this mail: no.")]
        assert send(browser) == (
            422, {"state": "refused", "problem": "SES refuses this mail: no."}
        )  # fmt: skip
        assert browser.look(f"/api/drafts/{DRAFT}")["state"] == "refused"
        assert send(browser, to="right@x.example") == (200, {"state": "sent"})
        assert scene.mailer.sent[0][1][0] == "right@x.example"
        assert len(scene.mailer.sent) == 1

    def test_what_cannot_be_kept_is_not_sent(
        self, scene: WebmailScene, browser: WebBrowser
    ) -> None:
        scene.kept.fails = [AWS_IS_AWAY]
        assert send(browser)[0] == 503
        assert scene.mailer.asked == 0
        assert send(browser) == (200, {"state": "sent"})

    def test_a_copy_that_fails_is_completed_by_whoever_looks(
        self, scene: WebmailScene, browser: WebBrowser
    ) -> None:
        put_once = scene.kept.put_once

        def fail(key: str, raw: bytes) -> None:
            raise AWS_IS_AWAY

        scene.kept.put_once = fail  # type: ignore[method-assign]
        assert send(browser) == (200, {"state": "sent"})
        assert browser.look("/api/mails?folder=sent")["mails"] == []
        scene.kept.put_once = put_once  # type: ignore[method-assign]
        assert browser.look(f"/api/drafts/{DRAFT}") == {"state": "sent"}
        assert len(browser.look("/api/mails?folder=sent")["mails"]) == 1
        kept = scene.store.objects[f"sent/anna/2026-11/{DRAFT}"]
        assert kept.startswith(b"Message-ID: <ses-1@")
        assert scene.mailer.asked == 1

    @pytest.mark.parametrize("step", range(1, 7))
    def test_wherever_it_is_killed_it_is_sent_at_most_once(
        self, scene: WebmailScene, browser: WebBrowser, step: int
    ) -> None:
        """Each durable step is the last one of its process; then the page asks again."""
        calls = 0

        class Killed(BaseException): ...

        def dying(call: Any) -> Any:
            def dies(*given: Any, **named: Any) -> Any:
                nonlocal calls
                done = call(*given, **named)
                holder = str(given[0])
                if not holder.startswith(("session", "seen")):
                    calls += 1
                    if calls == step:
                        raise Killed
                return done

            return dies

        parts: list[tuple[Any, str]] = [
            (scene.table, "put"), (scene.table, "update"), (scene.kept, "put"),
            (scene.kept, "put_once"), (scene.mailer, "send"),
        ]  # fmt: skip
        for part, name in parts:
            setattr(part, name, dying(getattr(part, name)))
        with pytest.raises(Killed):
            send(browser)
        first = len(scene.mailer.sent)
        _, told = send(browser)
        assert told["state"] in {"sent", "perhaps"}
        assert len(scene.mailer.sent) == first <= 1
        if told["state"] == "sent":
            assert len(browser.look("/api/mails?folder=sent")["mails"]) == 1

    def test_what_was_stopped_in_the_middle_is_completed_when_sent_is_looked_at(
        self, scene: WebmailScene, browser: WebBrowser
    ) -> None:
        class Killed(BaseException): ...

        def dies(key: str, raw: bytes) -> None:
            raise Killed

        put_once = scene.kept.put_once
        drafts = [f"{number:020}" for number in range(3)]
        scene.kept.put_once = dies  # type: ignore[method-assign]
        for draft in drafts:
            with pytest.raises(Killed):
                send(browser, draft=draft)
        scene.kept.put_once = put_once  # type: ignore[method-assign]
        assert scene.browser("bruno").look("/api/mails?folder=sent")["mails"] == []
        assert not [key for key in scene.store.objects if key.startswith("sent/")]
        assert len(browser.look("/api/mails?folder=sent")["mails"]) == 3
        assert {key for key in scene.store.objects if key.startswith("sent/")} == {
            f"sent/anna/2026-11/{draft}" for draft in drafts
        }
        assert scene.mailer.asked == 3

    def test_what_is_sent_is_told_as_sent_whatever_is_left_of_it(
        self, scene: WebmailScene, browser: WebBrowser
    ) -> None:
        assert send(browser) == (200, {"state": "sent"})
        scene.table.update("draft#anna", DRAFT, {"state": "accepted"}, expect={})
        del scene.store.objects[f"outbox/anna/{DRAFT}"]
        assert send(browser) == (200, {"state": "sent"})
        assert browser.look(f"/api/drafts/{DRAFT}") == {"state": "sent"}
        assert len(browser.look("/api/mails?folder=sent")["mails"]) == 1


class TestSender:
    @pytest.mark.parametrize(
        "address",
        [
            *("bruno@example.com", "info@example.com", "anna+x@example.com", "x@example.com"),
            *("example.com", "", "anna@example.com\r\nBcc: x@y.example", "anna", "Anna <a@b.c>"),
        ],
    )
    def test_only_what_is_explicitly_the_mailbox_s(
        self, scene: WebmailScene, browser: WebBrowser, address: str
    ) -> None:
        status, told = send(browser, **{"from": address})
        assert status == 403
        assert told["code"] == "sender"
        assert scene.mailer.asked == 0

    def test_case_is_none_of_it(self, scene: WebmailScene, browser: WebBrowser) -> None:
        assert send(browser, **{"from": "ANNA@Example.COM"})[0] == 200
        assert scene.mailer.sent[0][0] == "anna@example.com"

    def test_the_page_is_told_them(self, scene: WebmailScene) -> None:
        found = scene.browser("bruno").look("/api/session")["addresses"]
        assert found == ["bruno@example.com", "b.b@example.com"]


INJECTIONS = [
    *("x\r\nBcc: evil@x.example", "x\nBcc: e@x.example", "x\rBcc: e@x", "x\0y", "x\u2028Bcc:e"),
    *("x\x85Bcc: e", "x\x0bBcc: e", "x\x1cBcc: e", "=?utf-8?q?=0D=0ABcc:_e?=", "\ud800"),
    *("=?utf-8?b?DQpCY2M6IGU=?=", '" <e@x.example>, "', "x\\", "a" * 900, "ä" * 900, "a " * 400),
]


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("field", ["subject", "name"])
def test_no_field_ends_early(
    scene: WebmailScene, browser: WebBrowser, field: str, text: str
) -> None:
    assert send(browser, **{field: text})[0] == 200
    raw = scene.mailer.sent[0][2]
    head = raw.partition(b"\r\n\r\n")[0]
    names = [
        line.partition(b":")[0].lower() for line in head.split(b"\r\n") if line[:1] not in b" \t"
    ]
    assert sorted(names) == sorted(
        [b"message-id", b"date", b"from", b"to", b"cc", b"subject", b"mime-version",
         b"content-type", b"content-transfer-encoding"]
    )  # fmt: skip


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("field", ["to", "cc", "bcc"])
def test_no_address_holds_more_than_one(
    scene: WebmailScene, browser: WebBrowser, field: str, text: str
) -> None:
    status, told = send(browser, **{field: f"a@b.example{text}"})
    assert status == 400
    assert told["code"] == "addresses"
    assert scene.mailer.asked == 0


@pytest.mark.parametrize("name", [*INJECTIONS, "../x", "", "a" * 500, 'a"b;c', "ü.pdf", "x\\"])
def test_the_name_of_a_file_is_harmless(
    scene: WebmailScene, browser: WebBrowser, name: str
) -> None:
    files = [{"name": name, "type": "text/html\r\nX: y", "content": "AAEC"}]
    assert send(browser, files=files)[0] == 200
    (part,) = sent(scene).iter_attachments()
    assert part.get_content_type() == "application/octet-stream"
    assert part.get_content() == b"\0\x01\x02"
    assert "\n" not in (part.get_filename() or "")
    assert "Bcc" not in part
    assert "X" not in part


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a@b.example", ["a@b.example"]),
        ("A <a@b.example>; B <b@b.example>\nc@b.example,", ["a@b.example", "b@b.example",
                                                           "c@b.example"]),
        ('"Last, First" <a@b.example>', ["a@b.example"]),
        ("a@b.example, A@B.example", ["a@b.example"]),
        ("a@Bücher.example", ["a@xn--bcher-kva.example"]),
        ("a+tag@b.example", ["a+tag@b.example"]),
        ("", []),
        (" , ;\n", []),
    ],
)  # fmt: skip
def test_typed_addresses(text: str, found: list[str]) -> None:
    assert [each.address for each in typed_addresses(text)] == found


@pytest.mark.parametrize(
    "text",
    [
        *("a", "a@", "@b.example", "a@b", "a b@c.example", "a@b..example", "a..b@c.example"),
        *("<a@b.example", "a@b.example>", "A <a@b.example> <c@d.example>", "a@b@c.example"),
        *("ä@b.example", '"a b"@c.example', "a@[192.0.2.1]", ".a@b.example", "a@-b.example"),
        *("a" * 65 + "@b.example", "a@" + "b" * 64 + ".example", "a@b.example x", "<>", '"'),
        "x" * 20_001,
    ],
)
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(RefusedRequestError):
        typed_addresses(text)


def test_there_has_to_be_someone_and_not_too_many(scene: WebmailScene, browser: WebBrowser) -> None:
    many = ", ".join(f"p{n}@x.example" for n in range(51))
    for changes in ({"to": "", "cc": "", "bcc": ""}, {"to": many}):
        assert send(browser, **changes)[0] == 400
    assert scene.mailer.asked == 0


class TestAnswers:
    def test_an_answer_belongs_to_its_conversation(
        self, scene: WebmailScene, browser: WebBrowser
    ) -> None:
        name = scene.arrive("m", NEWSLETTER)
        assert send(browser, answers=name)[0] == 200
        message = sent(scene)
        assert message["In-Reply-To"] == "<one@b.example>"
        assert message["References"] == "<zero@b.example> <half@b.example> <one@b.example>"

    def test_an_answer_to_a_nested_mail_belongs_to_that(
        self, scene: WebmailScene, browser: WebBrowser
    ) -> None:
        inner = b"Message-ID: <inner@b.example>\r\nSubject: the inner one"
        name = scene.arrive("m", NEWSLETTER.replace(b"Subject: the inner one", inner))
        assert send(browser, answers=name, part="3")[0] == 200
        assert sent(scene)["In-Reply-To"] == "<inner@b.example>"
        for part in ("2", "9", "x", "3:3"):
            assert send(browser, draft=f"{'0' * 20}", answers=name, part=part)[0] == 400
        assert scene.mailer.asked == 1

    def test_another_mailbox_mail_is_not_answered_or_forwarded(
        self, scene: WebmailScene, browser: WebBrowser
    ) -> None:
        name = scene.arrive("m", NEWSLETTER, to=("bruno@example.com",))
        assert send(browser, answers=name)[0] == 404
        assert send(browser, forward={"mail": name, "parts": ["2"]})[0] == 404
        assert scene.store.read_keys == []

    def test_a_forward_takes_its_attachments_along(
        self, scene: WebmailScene, browser: WebBrowser
    ) -> None:
        name = scene.arrive("m", NEWSLETTER)
        assert send(browser, forward={"mail": name, "parts": ["2", "3:2", "3"]})[0] == 200
        files = [
            (p.get_filename(), p.get_payload(decode=True)) for p in sent(scene).iter_attachments()
        ]
        assert files[0] == ("Rechnung März.pdf", b"\0\1\2\3")
        assert files[1] == ("inner.bin", b"inner bytes")
        assert files[2][0] == "the inner one.eml"
        assert b"Subject: the inner one" in files[2][1]

    def test_a_forward_takes_each_of_many_attachments_once(
        self, scene: WebmailScene, browser: WebBrowser
    ) -> None:
        raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        raw += b"".join(
            b"--b\r\nContent-Type: a/b; name=%d\r\n\r\n%d\r\n" % (n, n) for n in range(250)
        )
        name = scene.arrive("m", raw)
        parts = [each["part"] for each in browser.look(f"/api/mails/{name}")["attachments"]]
        assert len(parts) == 250
        forward = {"mail": name, "parts": [*parts, *parts[:50]]}
        assert send(browser, forward=forward)[0] == 200
        assert [p.get_filename() for p in sent(scene).iter_attachments()] == [
            str(n) for n in range(250)
        ]

    @pytest.mark.parametrize(
        "forward", [7, "x", {}, {"mail": 1, "parts": []}, {"mail": "bQ", "parts": [1]}]
    )
    def test_a_forward_that_is_none_is_refused(self, browser: WebBrowser, forward: Any) -> None:
        assert send(browser, forward=forward)[0] == 400

    def test_a_part_that_is_not_there_is_refused(
        self, scene: WebmailScene, browser: WebBrowser
    ) -> None:
        name = scene.arrive("m", NEWSLETTER)
        assert send(browser, forward={"mail": name, "parts": ["9"]})[0] == 400


def test_attachments_arrive_to_the_byte(scene: WebmailScene, browser: WebBrowser) -> None:
    content = random.Random(3).randbytes(2_000_000)
    files = [
        {"name": "big.zip", "type": "application/zip",
         "content": base64.b64encode(content).decode()},
        {"name": "text.txt", "type": "text/plain", "content": "YQpiDQpj"},
        {"name": "mail.eml", "type": "message/rfc822", "content": "RnJvbTogeA=="},
    ]  # fmt: skip
    assert send(browser, files=files)[0] == 200
    raw = scene.mailer.sent[0][2]
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    parts = [part for part in message.walk() if part.get_filename()]
    assert [part.get_payload(decode=True) for part in parts] == [content, b"a\nb\r\nc", b"From: x"]
    line = browser.look("/api/mails?folder=sent")["mails"][0]["id"]
    assert browser.get(f"/api/mails/{line}/parts/2").body == content


@pytest.mark.parametrize(
    "files", [7, [7], [{"name": "x"}], [{"name": "x", "type": "a/b", "content": "!"}], [{}] * 101]
)
def test_files_that_are_none_are_refused(browser: WebBrowser, files: Any) -> None:
    assert send(browser, files=files)[0] == 400


@pytest.mark.slow
def test_what_is_too_large_is_told_before_anything_is_done(
    scene: WebmailScene, browser: WebBrowser
) -> None:
    files = [{"name": "x", "type": "a/b", "content": "A" * 40_000_004}]
    assert send(browser, files=files)[0] == 413
    assert scene.mailer.asked == 0


@pytest.mark.parametrize("draft", ["", "x", "../../x" * 5, "A" * 30, "x" * 65, "ä" * 30, 7])
def test_a_draft_has_an_id(browser: WebBrowser, draft: Any) -> None:
    assert send(browser, draft=draft)[0] == 400


def test_nothing_is_sent_without_a_session_or_from_elsewhere(scene: WebmailScene) -> None:
    assert scene.browser().post("/api/send", MAIL).status == 401
    browser = scene.browser("anna")
    assert browser.post("/api/send", MAIL, origin="https://evil.example").status == 403
    assert ORIGIN != "https://evil.example"
    assert scene.mailer.asked == 0


ODD_IDS = {
    "<ü@x.example>": (),
    "=?utf-8?q?=3C=C3=BC=40x=3E?=": (),
    "=?utf-8?q?=3Ca=40x=3E=0D=0ABcc:_e=40x?=": ("<a@x>",),
    "<a\x7f@x>": (),
    "<a\x85b@x>": (),
    "<a b@x>": (),
    "<a@x": (),
    "<one@x> <two@x>": ("<one@x>",),
    f"<{'a' * 901}@x>": (),
}


@pytest.mark.parametrize("message_id", ODD_IDS)
def test_whatever_a_mail_calls_itself_it_is_answered(
    scene: WebmailScene, browser: WebBrowser, message_id: str
) -> None:
    head = f"From: a@b.example\r\nMessage-ID: {message_id}\r\nReferences: {message_id}\r\n"
    answered = scene.arrive("odd", f"{head}Subject: x\r\n\r\nhi\r\n".encode())
    assert send(browser, answers=answered)[0] == 200
    mail = sent(scene)
    own = ODD_IDS[message_id]
    assert (mail["In-Reply-To"],) == (own or (None,))
    assert mail["Bcc"] is None


@pytest.mark.parametrize("name", ["", "#", "x", "é" * 505 + "x", "2026-11-27T10:00:00.000Z#"])
def test_what_no_line_of_sent_is_called_is_not_there(browser: WebBrowser, name: str) -> None:
    send(browser)
    assert browser.get(f"/api/mails/{mail_address('sent:' + name)}").status == 404
    if name:
        asked = f"/api/mails?folder=sent&cursor={mail_address(name)}"
        assert browser.get(asked).status == 400
