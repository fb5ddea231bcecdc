"""Large attachments: left by a form in the day's place, each mailbox in its own, to the byte."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import random
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.webmail.day_place import S3DayPlace
from postamt_sync.webmail.message_text import encoded_length
from postamt_sync.webmail.outgoing import LARGEST_MESSAGE
from postamt_sync.webmail.writing_pages import LARGEST_FILE
from tests.browser import Browser, needs_browser
from tests.doubles.moto import Moto
from tests.doubles.webmail import WebBrowser, WebmailScene
from tests.doubles.webmail_ports import MemoryDay
from tests.webmail.page import served_scene, signed_in

BYTES = bytes(range(256)) * 40


@pytest.fixture
def day() -> MemoryDay:
    return MemoryDay()


@pytest.fixture
def scene(day: MemoryDay) -> WebmailScene:
    scene = WebmailScene(day=day)
    scene.let_in("anna", "bruno")
    return scene


def leave(browser: WebBrowser, day: MemoryDay, content: bytes) -> str:
    """Upload as the page does; return by which name it is sent."""
    answer = browser.post("/api/uploads", {"size": len(content)})
    assert answer.status == 200, answer.body
    form = json.loads(answer.body)
    day.kept[form["fields"]["key"]] = content
    name: str = form["upload"]
    return name


def send(browser: WebBrowser, *files: dict[str, str]) -> tuple[int, dict[str, Any]]:
    fields = {
        "draft": str(uuid.uuid4()),
        "from": "anna@example.com",
        "to": "clara@sender.example",
        "subject": "files",
        "files": list(files),
    }
    answer = browser.post("/api/send", fields)
    return answer.status, json.loads(answer.body)


def file(upload: str, name: str = "plan.pdf") -> dict[str, str]:
    return {"name": name, "type": "application/pdf", "upload": upload}


def attached(raw: bytes) -> list[tuple[str | None, Any]]:
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    return [(p.get_filename(), p.get_payload(decode=True)) for p in mail.iter_attachments()]


def test_what_was_left_goes_out_to_the_byte(scene: WebmailScene, day: MemoryDay) -> None:
    anna = scene.browser("anna")
    name = leave(anna, day, BYTES)
    with_it = {"name": "a.txt", "type": "text/plain", "content": base64.b64encode(b"a").decode()}
    assert send(anna, file(name), with_it)[0] == 200
    [(_, _, raw)] = scene.mailer.sent
    assert attached(raw) == [("plan.pdf", BYTES), ("a.txt", b"a")]


def test_no_mailbox_sends_what_another_left(scene: WebmailScene, day: MemoryDay) -> None:
    name = leave(scene.browser("bruno"), day, b"bruno's")
    status, said = send(scene.browser("anna"), file(name))
    assert (status, said["code"]) == (400, "upload")
    assert scene.mailer.sent == []


@pytest.mark.parametrize(
    "name", ["", "..", "../bruno/x", "bruno/0", "0" * 32, "a" * 31, "\u0000" * 32, "%2e%2e%2f"]
)
def test_what_was_not_left_is_told(scene: WebmailScene, name: str) -> None:
    status, said = send(scene.browser("anna"), file(name))
    assert status == 400
    assert "Attach it again" in said["problem"]


@pytest.mark.parametrize("size", [-1, 1.5, "1", None, True, [], LARGEST_FILE + 1, 10**30])
def test_a_size_that_is_none_or_too_large_gets_no_form(scene: WebmailScene, size: object) -> None:
    answer = scene.browser("anna").post("/api/uploads", {"size": size})
    assert answer.status in {400, 413}
    assert b"fields" not in answer.body


def test_nobody_who_is_not_signed_in_gets_a_form(scene: WebmailScene) -> None:
    assert scene.browser().post("/api/uploads", {"size": 1}).status == 401
    anna = scene.browser("anna")
    answer = anna.post("/api/uploads", {"size": 1}, origin="https://evil.example")
    assert answer.status == 403


@pytest.mark.slow
def test_more_than_ses_takes_is_refused_before_anything_is_noted(
    scene: WebmailScene, day: MemoryDay
) -> None:
    anna = scene.browser("anna")
    one = leave(anna, day, b"x" * (LARGEST_FILE - 10))
    other = leave(anna, day, b"x" * 1000)
    assert send(anna, file(one), file(other))[0] == 413
    fits = leave(anna, day, b"x" * 29_000_000)
    assert send(anna, file(fits))[0] == 200
    [(_, _, raw)] = scene.mailer.sent
    assert len(raw) < LARGEST_MESSAGE


def test_the_length_of_a_file_in_a_message_is_what_it_is() -> None:
    for size in (0, 1, 2, 3, 56, 57, 58, 100, 1_000, 10_001):
        encoded = base64.encodebytes(b"x" * size).replace(b"\n", b"\r\n")
        assert encoded_length(size) == len(encoded)


def test_without_a_day_s_place_attachments_come_with_the_mail() -> None:
    scene = WebmailScene()
    scene.let_in("anna")
    answer = scene.browser("anna").post("/api/uploads", {"size": 1})
    assert (answer.status, json.loads(answer.body)["code"]) == (404, "no-uploads")
    assert send(scene.browser("anna"), file("0" * 32))[0] == 400


class TestAtS3:
    @pytest.fixture
    def place(self, cloud: Moto) -> S3DayPlace:
        bucket = f"site-{uuid.uuid4()}"
        cloud.make_bucket(bucket)
        return S3DayPlace(cloud.client("s3"), bucket, "day/")

    def test_the_form_is_bound_to_key_length_and_type(self, place: S3DayPlace) -> None:
        form = place.upload("../bruno", 1234)
        policy = json.loads(base64.b64decode(form.fields["policy"]))
        key = form.fields["key"]
        assert key == f"day/up/..%2Fbruno/{form.name}"
        assert {"key": key} in policy["conditions"]
        assert ["content-length-range", 0, 1234] in policy["conditions"]
        assert {"Content-Type": "application/octet-stream"} in policy["conditions"]
        assert not any("starts-with" in c for c in policy["conditions"])
        assert form.url.startswith(place.origin)

    def test_what_is_left_can_be_read_by_its_own_mailbox_alone(self, place: S3DayPlace) -> None:
        form = place.upload("anna", len(BYTES))
        post(form.url, form.fields, BYTES)
        assert place.uploaded("anna", form.name, len(BYTES)) == BYTES
        assert place.uploaded("bruno", form.name, len(BYTES)) is None
        assert place.uploaded("anna", "0" * 32, 10) is None
        assert place.uploaded("anna", f"../anna/{form.name}", 10) is None
        short = place.uploaded("anna", form.name, 10)
        assert short is not None
        assert len(short) == 11

    def test_a_file_without_a_byte(self, place: S3DayPlace) -> None:
        form = place.upload("anna", 0)
        post(form.url, form.fields, b"")
        assert place.uploaded("anna", form.name, 10) == b""


def post(url: str, fields: Any, content: bytes) -> None:
    """Send a form as a browser does."""
    edge = uuid.uuid4().hex
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="blob"\r\n\r\n'
    body = b"".join(parts) + head.encode() + content + f"\r\n--{edge}--\r\n".encode()
    asked = urllib.request.Request(
        url, body, {"Content-Type": f"multipart/form-data; boundary={edge}"}
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        assert answer.status < 300


@pytest.fixture(scope="module")
def with_s3(cloud: Moto) -> Iterator[tuple[WebmailScene, str]]:
    cloud.make_bucket("the-site")
    with served_scene(S3DayPlace(cloud.client("s3"), "the-site", "day/")) as (scene, url):
        scene.let_in("anna")
        yield scene, url


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [1, 9], ids=["with the mail", "beforehand"])
class TestInABrowser:
    pytestmark = needs_browser

    def test_a_file_goes_out_to_the_byte(
        self,
        chromium: Browser,
        with_s3: tuple[WebmailScene, str],
        tmp_path: Path,
        megabytes: int,
    ) -> None:
        browser, (scene, url) = chromium, with_s3
        content = random.Random(megabytes).randbytes(megabytes * 1_000_000)
        path = tmp_path / "Pläne 1.bin"
        path.write_bytes(content)
        scene.mailer.sent.clear()
        signed_in(browser, url)
        browser.type("c")
        browser.until("return document.getElementById('compose')")
        browser.run(NOTE_WORDS)
        browser.choose("#compose input[type=file]", path)
        browser.run(
            "document.querySelector('#compose [name=to]').value = 'clara@sender.example';"
            "document.querySelector('#compose [type=submit]').click()"
        )
        browser.until("return !document.getElementById('compose')")
        words = browser.run("return window.words")
        [(_, _, raw)] = scene.mailer.sent
        assert attached(raw) == [("Pläne 1.bin", content)]
        uploading = [each for each in words if each.startswith("Uploading Pläne 1.bin: ")]
        assert bool(uploading) == (megabytes > 2)


NOTE_WORDS = """
window.words = [];
new MutationObserver(() => {
  const said = document.querySelector('#compose [role=alert]');
  if (said) window.words.push(said.textContent);
}).observe(document.getElementById('mail'), {childList: true, subtree: true, characterData: true});
"""
