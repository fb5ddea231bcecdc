"""Mail that the index does not know, found by listing `recent/`."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from postamt_sync.webmail.index_table import DynamoEntryTable
from postamt_sync.webmail.mail_list import PAGE, mail_address
from postamt_sync.webmail.mail_store import S3MailStore
from postamt_sync.webmail.unindexed import LOOK_EVERY, MOST
from tests.doubles.moto import Moto
from tests.doubles.notices import HEADERS, stored
from tests.doubles.webmail import WebBrowser, WebmailScene


@pytest.fixture
def scene() -> WebmailScene:
    scene = WebmailScene()
    scene.let_in("anna", "bruno")
    scene.let_in("admin", sees_all=True)
    return scene


def store(scene: WebmailScene, name: str, recipient: str = "bruno@example.com",
          subject: str = "found") -> str:  # fmt: skip
    raw = stored(name, {**HEADERS, "Subject": subject}, recipient)
    for prefix in ("incoming/", "recent/"):
        scene.store.objects[prefix + name] = raw
    return f"/api/mails/{mail_address(name)}"


def subjects(browser: WebBrowser, query: str = "") -> list[str]:
    return [mail["subject"] for mail in browser.look(f"/api/mails?{query}")["mails"]]


def test_it_is_shown_to_whom_the_received_of_ses_names(scene: WebmailScene) -> None:
    address = store(scene, "m1")
    assert subjects(scene.browser("bruno")) == ["found"]
    assert scene.browser("bruno").look(address)["text"] == "the body"
    for mailbox in ("anna", "admin"):
        assert subjects(scene.browser(mailbox)) == []
        assert scene.browser(mailbox).get(address).status == 404


def test_what_names_nobody_is_for_whoever_sees_all(scene: WebmailScene) -> None:
    raw = b"To: anna@example.com\r\nSubject: lost\r\n\r\nx"
    for prefix in ("incoming/", "recent/"):
        scene.store.objects[f"{prefix}m1"] = raw
    assert subjects(scene.browser("admin")) == ["lost"]
    assert subjects(scene.browser("anna")) == []
    assert scene.browser("anna").get(f"/api/mails/{mail_address('m1')}").status == 404


def test_it_stands_where_it_belongs_in_time_on_whichever_page(scene: WebmailScene) -> None:
    """The stored one is of 2 November, 10:11:12."""
    for number in range(PAGE * 2):
        scene.arrive(f"n{number:03}", b"Subject: known\r\n\r\n", to=("bruno@example.com",),
                     received_at=f"2026-11-0{3 if number < PAGE + 10 else 1}"
                                 f"T10:{number // 2:02}:00.000Z")  # fmt: skip
    store(scene, "m1")
    browser = scene.browser("bruno")
    first = browser.look("/api/mails")
    assert "found" not in [m["subject"] for m in first["mails"]]
    second = browser.look(f"/api/mails?cursor={first['cursor']}")["mails"]
    assert [m["subject"] for m in second].index("found") == 10
    assert len(second) == PAGE + 1


def test_it_is_listed_once_and_by_the_index_when_that_knows_it(scene: WebmailScene) -> None:
    store(scene, "m1")
    browser = scene.browser("bruno")
    assert subjects(browser) == ["found"]
    scene.arrive("m1", b"Subject: indexed\r\n\r\n", to=("bruno@example.com",))
    assert subjects(browser) == ["indexed"]


def test_search_and_folders_hold_for_it(scene: WebmailScene) -> None:
    store(scene, "m1", subject="needle")
    browser = scene.browser("bruno")
    assert subjects(browser, "q=needle") == ["needle"]
    assert subjects(browser, "q=nowhere") == []
    assert subjects(browser, "since=2026-11-02&until=2026-11-02") == ["needle"]
    assert subjects(browser, "since=2026-11-03") == []
    assert subjects(browser, "folder=junk") == []


def test_a_minute_has_one_listing_and_a_mail_is_read_once(scene: WebmailScene) -> None:
    store(scene, "m1")
    store(scene, "m2", "anna@example.com")
    for mailbox in ("bruno", "anna", "bruno"):
        assert len(subjects(scene.browser(mailbox))) == 1
    assert scene.store.listings == 1
    scene.now += LOOK_EVERY
    assert len(subjects(scene.browser("anna"))) == 1
    assert scene.store.listings == 2
    # Once for what it says, once for whom SES names.
    assert scene.store.read_keys.count("incoming/m1") <= 2


@pytest.mark.parametrize("lists", [False, True])
def test_there_is_a_bound_and_what_is_no_mail_is_passed_over(lists: bool) -> None:
    scene = WebmailScene(lists=lists)
    scene.let_in("bruno")
    scene.store.objects["recent/"] = b""
    scene.store.objects["recent/AMAZON_SES_SETUP_NOTIFICATION"] = b"x"
    scene.store.objects["recent/gone"] = b"only here"
    for number in range(MOST + 20):
        store(scene, f"m{number}")
    browser = scene.browser("bruno")
    assert len(subjects(browser)) == MOST
    scene.now += LOOK_EVERY
    assert len(subjects(browser)) == MOST + 20, "the next listing goes on where the last one ended"
    scene.now += LOOK_EVERY
    read = len(scene.store.read_keys)
    assert len(subjects(browser)) == MOST + 20
    assert len(scene.store.read_keys) <= read + 1, "what is gone may be there again"
    assert scene.said == []


def test_a_listing_that_is_refused_holds_up_nothing(scene: WebmailScene) -> None:
    scene.arrive("m1", b"Subject: known\r\n\r\n", to=("bruno@example.com",))

    def refuse(prefix: str) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListObjectsV2")

    scene.store.listed = refuse  # type: ignore[method-assign]
    assert subjects(scene.browser("bruno")) == ["known"]


@pytest.mark.slow
def test_listing_and_index_at_aws(emulator: Moto) -> None:
    name = uuid.uuid4().hex
    emulator.make_bucket(f"b{name}")
    emulator.make_table(f"t{name}")
    s3, dynamodb = emulator.client("s3"), emulator.client("dynamodb")
    for number in range(3):
        s3.put_object(Bucket=f"b{name}", Key=f"recent/m{number}", Body=b"x" * number)
    found = list(S3MailStore(s3, f"b{name}").listed("recent/"))
    assert [(each.key, each.size) for each in found] == [
        *(("recent/m0", 0), ("recent/m1", 1), ("recent/m2", 2)),
    ]
    item = {"message_id": {"S": "m1"}, "key": {"S": "incoming/m1"}}
    dynamodb.put_item(TableName=f"t{name}", Item=item)
    table = DynamoEntryTable(dynamodb, f"t{name}")
    assert table.known([f"m{n}" for n in range(250)]) == {"m1"}
    assert table.known(["x" * 3_000, ""]) == set()
