"""The list: who sees what, in which order, page by page, and what a search finds."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from postamt_sync.index.entry import IndexEntry
from postamt_sync.mail.arrival import Verdicts
from postamt_sync.mail.handed_routes import HandedRoutes
from postamt_sync.mail.routing import Addressee, VerdictFolders
from postamt_sync.webmail.mail_list import LOOKED_AT, PAGE
from tests.doubles.notices import stored
from tests.doubles.webmail import WebBrowser, WebmailScene


@pytest.fixture(params=["index", "lists"])
def scene(request: pytest.FixtureRequest) -> WebmailScene:
    """What the mailbox's own list shows, and what a walk through the index does, is the same."""
    scene = WebmailScene(lists=request.param == "lists")
    scene.let_in("anna", "bruno")
    return scene


def subjects(browser: WebBrowser, query: str = "") -> list[str]:
    """Return the subjects of all pages."""
    found: list[str] = []
    cursor = ""
    for _ in range(400):
        page = browser.look(f"/api/mails?{query}&cursor={cursor}")
        found += [mail["subject"] for mail in page["mails"]]
        if not (cursor := page["cursor"]):
            return found
    raise AssertionError("the list has no end")


def raw(subject: str, **fields: str) -> bytes:
    more = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"From: a@b.example\r\nSubject: {subject}\r\n{more}\r\nx\r\n".encode()


def test_a_mail_is_shown_as_a_line(scene: WebmailScene) -> None:
    scene.arrive(
        "m1",
        b"From: =?utf-8?q?J=C3=BCrgen?= <j@b.example>\r\nTo: anna\r\nSubject: Hallo\r\n\r\nx",
        verdicts=Verdicts(spam="PASS", dmarc="FAIL", dmarc_policy="none"),
    )
    (mail,) = scene.browser("anna").look("/api/mails")["mails"]
    assert mail["from"] == "Jürgen <j@b.example>"
    assert mail["subject"] == "Hallo"
    assert mail["received"] == "2026-11-27T10:00:00.000Z"
    assert mail["size"] == 74
    assert "DMARC" in mail["warning"]
    assert mail["seen"] is False


def test_each_mailbox_sees_its_own(scene: WebmailScene) -> None:
    both = ("bruno+shop@example.com", "anna@example.com")
    for name, to in (
        ("to-anna", ("anna@example.com",)),
        ("to-bruno", ("BRUNO@EXAMPLE.COM",)),
        ("to-both", both),
        ("to-domain", ("info@example.com",)),
        ("to-nobody", ("who@elsewhere.example",)),
    ):
        scene.arrive(name, raw(name, To="bruno@example.com"), to=to)
    assert set(subjects(scene.browser("anna"))) == {
        *("to-anna", "to-both", "to-domain", "to-nobody"),
    }
    assert set(subjects(scene.browser("bruno"))) == {"to-bruno", "to-both"}


def test_without_a_receipt_the_received_of_ses_counts_and_never_to(scene: WebmailScene) -> None:
    scene.let_in("admin", sees_all=True)
    name = "4k1s0vq2m8d7c6b5a4938271605fedcba9876543"
    scene.arrive(name, stored(name, recipient="bruno@example.com"), to=())
    scene.arrive("forged", stored("other", recipient="bruno@example.com"), to=())
    scene.arrive("plain", raw("plain", To="bruno@example.com"), to=())
    assert len(subjects(scene.browser("bruno"))) == 1
    assert subjects(scene.browser("anna")) == []
    assert len(subjects(scene.browser("admin"))) == 2


def test_what_was_read_once_of_a_mail_is_remembered() -> None:
    """Of one that an older index function wrote."""
    scene = WebmailScene()
    scene.let_in("anna")
    scene.arrive("m1", raw("one"), to=())
    browser = scene.browser("anna")
    for _ in range(3):
        subjects(browser)
    assert scene.store.read_keys == ["incoming/m1"]
    del scene.store.objects["incoming/m1"]
    scene.arrive("m2", raw("two"), to=())
    del scene.store.objects["incoming/m2"]
    assert subjects(browser) == []


@pytest.mark.parametrize(
    ("verdicts", "folder"),
    [
        (Verdicts(), "inbox"),
        (Verdicts(spam="GRAY", virus="PROCESSING_FAILED"), "inbox"),
        (Verdicts(spam="FAIL"), "junk"),
        (Verdicts(virus="FAIL"), "junk"),
        (Verdicts(dmarc="FAIL", dmarc_policy="reject"), "junk"),
        (Verdicts(dmarc="FAIL", dmarc_policy="none"), "inbox"),
    ],
)
def test_junk_is_apart(scene: WebmailScene, verdicts: Verdicts, folder: str) -> None:
    scene.arrive("m", raw("m"), verdicts=verdicts)
    browser = scene.browser("anna")
    assert subjects(browser, f"folder={folder}") == ["m"]
    other = {"inbox": "junk", "junk": "inbox"}[folder]
    assert subjects(browser, f"folder={other}") == []
    assert browser.get("/api/mails?folder=../x").status == 404


def test_folders_that_are_the_inbox_at_home_are_it_here() -> None:
    everyone = (Addressee("anna", ("anna@example.com",), default=True),)
    scene = WebmailScene(handed=HandedRoutes(everyone, VerdictFolders("", "", "")))
    scene.let_in("anna")
    scene.arrive("m", raw("m"), verdicts=Verdicts(spam="FAIL"))
    assert subjects(scene.browser("anna")) == ["m"]


def test_it_is_sorted_by_what_ses_received_and_paged_without_end(scene: WebmailScene) -> None:
    moments = [
        f"{year}-{month:02}-{day:02}T10:00:00.{n:03}Z"
        for year, month in ((2026, 11), (2026, 9), (2024, 2), (2019, 12))
        for day in (1, 28)
        for n in range(40)
    ]
    for number, moment in enumerate(moments):
        scene.arrive(f"m{number}", raw(moment, Date="Mon, 1 Jan 2040 00:00:00 +0000"),
                     received_at=moment)  # fmt: skip
    browser = scene.browser("anna")
    assert subjects(browser) == sorted(moments, reverse=True)
    assert len(browser.look("/api/mails")["mails"]) == PAGE


def test_mails_of_one_moment_are_all_there(scene: WebmailScene) -> None:
    for number in range(PAGE * 2 + 1):
        scene.arrive(f"m{number}", raw(str(number)))
    found = subjects(scene.browser("anna"))
    assert sorted(map(int, found)) == list(range(PAGE * 2 + 1))


def test_new_mail_between_two_pages_moves_nothing(scene: WebmailScene) -> None:
    for number in range(PAGE + 10):
        scene.arrive(f"m{number:03}", raw(f"m{number:03}"))
    browser = scene.browser("anna")
    first = browser.look("/api/mails")
    scene.arrive("later", raw("later"), received_at="2026-11-27T11:00:00.000Z")
    second = browser.look(f"/api/mails?cursor={first['cursor']}")
    together = [m["subject"] for m in (*first["mails"], *second["mails"])]
    assert len(together) == len(set(together)) == PAGE + 10


def test_one_request_looks_at_so_many_and_says_what_it_has() -> None:
    scene = WebmailScene()
    scene.let_in("bruno")
    for number in range(LOOKED_AT + 500):
        scene.arrive(f"m{number:05}", raw("x"), to=("anna@example.com",))
    scene.arrive("first", raw("of bruno"), to=("bruno@example.com",),
                 received_at="2026-11-01T10:00:00.000Z")  # fmt: skip
    browser = scene.browser("bruno")
    page = browser.look("/api/mails")
    assert page["mails"] == []
    assert page["cursor"]
    assert page["reached"] == "2026-11"
    assert subjects(browser) == ["of bruno"]


class TestSearch:
    @pytest.fixture(autouse=True)
    def mails(self, scene: WebmailScene) -> None:
        scene.arrive("a", raw("Rechnung März", To="anna@example.com"),
                     received_at="2026-03-31T23:59:59.000Z")  # fmt: skip
        scene.arrive("b", raw("Straße und Rechnung", Cc="Zoë <zoe@c.example>"),
                     received_at="2026-04-01T00:00:00.000Z")  # fmt: skip
        scene.arrive("c", raw("offer"), received_at="2026-05-01T00:00:00.000Z")
        scene.arrive("d", raw("Rechnung Bruno"), to=("bruno@example.com",))

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("q=rechnung", ["Straße und Rechnung", "Rechnung März"]),
            ("q=RECHNUNG märz", ["Rechnung März"]),
            ("q=strasse", ["Straße und Rechnung"]),
            ("q=zoe@c.example", ["Straße und Rechnung"]),
            ("q=a@b.example", ["offer", "Straße und Rechnung", "Rechnung März"]),
            ("q=anna@example.com offer", ["offer"]),
            ("q=.*", []),
            ("q=bruno", []),
            ("since=2026-04-01&until=2026-04-01", ["Straße und Rechnung"]),
            ("until=2026-03-31", ["Rechnung März"]),
            ("since=2026-04-02", ["offer"]),
            ("q=rechnung&since=2026-03-01&until=2026-03-31", ["Rechnung März"]),
            ("since=2026-03-31T23:59:59.000Z&until=2026-04-01T00:00:00.000Z", ["Rechnung März"]),
            ("since=2026-03-31T23:59:59.001Z&until=2026-04-30", ["Straße und Rechnung"]),
        ],
    )
    def test_words_and_days(self, scene: WebmailScene, query: str, found: list[str]) -> None:
        assert subjects(scene.browser("anna"), query) == found

    @pytest.mark.parametrize(
        "query",
        [
            "since=x",
            "since=2026-13-01",
            "until=9999-12-31",
            "until=0001-01-01",
            "until=2026-02-30",
            "since=2026-04-01T24:00:00.000Z",
            "since=2026-04-01T10:00:00.000",
            "until=2100-01-01T00:00:00.000Z",
            f"q={'x' * 201}",
        ],
    )
    def test_what_cannot_be_is_refused(self, scene: WebmailScene, query: str) -> None:
        assert scene.browser("anna").get(f"/api/mails?{query}").status == 400

    def test_a_search_in_the_past_does_not_walk_through_the_present(
        self, scene: WebmailScene
    ) -> None:
        browser = scene.browser("anna")
        before = scene.index.asked
        subjects(browser, "since=2026-03-01&until=2026-03-31")
        assert scene.index.asked - before <= 3


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "!!",
        "W10",
        base64.urlsafe_b64encode(b"\xff").decode(),
        *(
            base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
            for said in (
                {},
                [],
                ["2026-13"],
                [7],
                ["2026-11", 1, 2],
                ["2026-11", "2026-10-01T00:00:00.000Z", "x"],
                ["2026-11", "2026-11-01T00:00:00.000Z", ""],
                ["2026-11", "2026-11-01", "x"],
                ["\uff19\uff19\uff19\uff19-11"],
            )
        ),
        base64.urlsafe_b64encode(b"[" * 900).decode(),
    ],
)
def test_a_cursor_that_is_none_is_refused(scene: WebmailScene, cursor: str) -> None:
    assert scene.browser("anna").get(f"/api/mails?cursor={cursor}").status == 400


def test_a_cursor_of_another_shows_nothing_of_his(scene: WebmailScene) -> None:
    for number in range(PAGE * 2):
        scene.arrive(f"m{number}", raw("of anna"))
    cursor = scene.browser("anna").look("/api/mails")["cursor"]
    assert scene.browser("bruno").look(f"/api/mails?cursor={cursor}")["mails"] == []


def test_the_page_s_own_looks_at_the_list_keep_no_session_up(scene: WebmailScene) -> None:
    address = scene.arrive("m", raw("m"))
    browser = scene.browser("anna")
    for _ in range(14):
        scene.now += 60
        for path in ("/api/mails", f"/api/mails/{address}/conversation"):
            assert browser.get(path, postamt_by_itself="1").status == 200
    scene.now += 60
    assert browser.get("/api/mails").status == 401


def test_what_was_opened_is_marked_for_this_mailbox_alone(scene: WebmailScene) -> None:
    both = ("anna@example.com", "bruno@example.com")
    names = [scene.arrive(f"m{n}", raw(str(n)), to=both) for n in range(3)]
    anna, bruno = scene.browser("anna"), scene.browser("bruno")
    assert anna.post(f"/api/mails/{names[1]}/seen", {"seen": True}).status == 200

    def seen(browser: WebBrowser) -> dict[str, bool]:
        return {m["subject"]: m["seen"] for m in browser.look("/api/mails")["mails"]}

    assert seen(anna) == {"0": False, "1": True, "2": False}
    assert not any(seen(bruno).values())
    assert anna.post(f"/api/mails/{names[1]}/seen", {"seen": False}).status == 200
    assert not any(seen(anna).values())
    assert anna.post(f"/api/mails/{names[1]}/seen", {"seen": "yes"}).status == 400


@pytest.mark.parametrize("begins", ["a" * 1_000, "é" * 500])
def test_mails_of_the_longest_names_are_marked_each(scene: WebmailScene, begins: str) -> None:
    names = [scene.arrive(f"{begins}{n}", raw(str(n))) for n in range(2)]
    anna = scene.browser("anna")
    assert anna.post(f"/api/mails/{names[1]}/seen", {"seen": True}).status == 200
    seen = {m["subject"]: m["seen"] for m in anna.look("/api/mails")["mails"]}
    assert seen == {"0": False, "1": True}
    (mark,) = [name for holder, name in scene.table.kept if holder == "seen#anna"]
    assert len(mark.encode()) <= 1_024  # a sort key


OF_A_MAIL = ("", "/html", "/html?images=1", "/source", "/source?download=1", "/parts/", "/parts/2")


@pytest.mark.parametrize("what", OF_A_MAIL)
def test_another_mailbox_mail_looks_as_if_it_were_not_there(scene: WebmailScene, what: str) -> None:
    of_bruno = scene.arrive("m", raw("secret"), to=("bruno@example.com",))
    anna = scene.browser("anna")
    refused = anna.get(f"/api/mails/{of_bruno}{what}")
    missing = anna.get(f"/api/mails/{of_bruno[:-1]}A{what}")
    assert refused.status == missing.status == 404
    assert refused.body == missing.body
    assert "incoming/m" not in scene.store.read_keys
    assert anna.post(f"/api/mails/{of_bruno}/seen", {"seen": True}).status == 404
    nobody = scene.browser()
    assert nobody.get(f"/api/mails/{of_bruno}{what}").status == 401


def test_a_late_receipt_opens_a_mail_to_who_else_it_names(scene: WebmailScene) -> None:
    name = scene.arrive("m", raw("m"), to=("anna@example.com",))
    bruno = scene.browser("bruno")
    assert bruno.get(f"/api/mails/{name}").status == 404
    scene.arrive("m", raw("m"), to=("anna@example.com", "bruno@example.com"))
    assert bruno.get(f"/api/mails/{name}").status == 200


def test_an_index_that_refuses_is_said_and_logged(scene: WebmailScene) -> None:
    from botocore.exceptions import ClientError  # noqa: PLC0415

    def refuse(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "Query")

    browser = scene.browser("anna")
    scene.index.month = refuse  # type: ignore[method-assign]
    if scene.lines is not None:
        scene.lines.page = refuse  # type: ignore[method-assign]
    assert browser.get("/api/mails").status == 503
    assert scene.said[-1][2] == {"reason": "ThrottlingException"}


def test_an_entry_that_nothing_but_an_event_told_of_is_listed(scene: WebmailScene) -> None:
    scene.let_in("admin", sees_all=True)
    entry = IndexEntry("bare", "incoming/bare")
    scene.index.entries["bare"] = entry
    browser = scene.browser("admin")
    assert browser.get("/api/mails/YmFyZQ").status == 410


class TestLists:
    """What only a mailbox's own list has."""

    @pytest.fixture
    def lists(self) -> WebmailScene:
        scene = WebmailScene(lists=True)
        scene.let_in("anna", "bruno")
        scene.let_in("admin", sees_all=True)
        return scene

    def test_mail_of_others_is_not_even_looked_at(self, lists: WebmailScene) -> None:
        for number in range(300):
            lists.arrive(f"m{number:05}", raw("x"))
        lists.arrive("first", raw("of bruno"), to=("bruno@example.com",),
                     received_at="2026-11-01T10:00:00.000Z")  # fmt: skip
        assert subjects(lists.browser("bruno")) == ["of bruno"]
        assert lists.lines is not None
        assert (lists.lines.looked_at, lists.index.asked) == (1, 0)
        subjects(lists.browser("bruno"), "q=bruno")
        assert lists.lines.looked_at == 2
        assert lists.store.read_keys == []

    def test_a_line_that_says_another_mailbox_is_not_shown(self, lists: WebmailScene) -> None:
        """As one would that was written by former routes, in an account that someone broke."""
        lists.arrive("m", raw("secret"), to=("bruno@example.com",))
        assert lists.lines is not None
        lists.lines.kept["anna#inbox"] = {"2026-11-27T10:00:00.000Z#m": "m"}
        assert subjects(lists.browser("anna")) == []

    def test_where_lists_are_not_complete_the_index_shows_all_and_nothing_twice(
        self, lists: WebmailScene
    ) -> None:
        for number in range(PAGE + 20):
            lists.arrive(f"m{number:03}", raw(f"m{number:03}"))
        expected = [f"m{number:03}" for number in reversed(range(PAGE + 20))]
        assert lists.lines is not None
        browser = lists.browser("anna")
        assert subjects(browser) == expected
        for before, after in (("v1", ""), ("", "v1")):  # also in the middle of a list
            lists.lines.version = before
            first = browser.look("/api/mails")
            lists.lines.version = after
            second = browser.look(f"/api/mails?cursor={first['cursor']}")
            assert [m["subject"] for m in (*first["mails"], *second["mails"])] == expected

    def test_other_routes_than_those_handed_over_are_not_taken_for_them(
        self, lists: WebmailScene
    ) -> None:
        lists.arrive("m", raw("m"), to=("bruno@example.com",))
        assert lists.lines is not None
        lists.lines.routes = HandedRoutes((Addressee("x", ("x.example",), default=True),))
        assert subjects(lists.browser("bruno")) == ["m"]
        assert lists.index.asked > 0

    def test_what_the_index_knows_and_the_lists_do_not_is_found_and_once(
        self, lists: WebmailScene
    ) -> None:
        lists.index.unlisted.add("m1")
        for name in ("m0", "m1", "m2"):
            lists.store.objects[f"recent/{name}"] = raw(name)
            lists.arrive(name, raw(name))
        browser = lists.browser("anna")
        assert sorted(subjects(browser)) == ["m0", "m1", "m2"]
        lists.index.unlisted.clear()
        lists.arrive("m1", raw("m1"))
        assert sorted(subjects(browser)) == ["m0", "m1", "m2"]

    def test_mail_of_which_no_time_is_known_comes_last_and_is_paged_too(
        self, lists: WebmailScene
    ) -> None:
        for number in range(PAGE + 5):
            lists.arrive(f"m{number:03}", raw(f"m{number:03}"), received_at="")
        lists.arrive("new", raw("new"))
        found = subjects(lists.browser("anna"))
        assert found[0] == "new"
        assert len(found) == len(set(found)) == PAGE + 6

    def test_all_sees_its_own_mail_and_nobody_s_in_one_order(self) -> None:
        lists = WebmailScene(lists=True)
        lists.let_in("bruno", sees_all=True)
        for number in range(PAGE * 3):
            lists.arrive(f"m{number:03}", raw(f"m{number:03}"),
                         to=() if number % 3 else ("bruno@example.com",),
                         received_at=f"2026-11-{1 + number // 10:02}T10:00:00.000Z")  # fmt: skip
        found = subjects(lists.browser("bruno"))
        assert found == sorted(found, reverse=True)
        assert len(found) == PAGE * 3

    def test_a_search_does_not_tell_who_else_got_a_mail(self, lists: WebmailScene) -> None:
        both = ("bruno@example.com", "anna@example.com")
        lists.arrive("m", raw("m"), to=both)
        assert subjects(lists.browser("bruno"), "q=anna@example.com") == []
        assert subjects(lists.browser("bruno"), "q=bruno@example.com") == ["m"]


class TestHandedRoutes:
    def test_they_come_through_as_text(self) -> None:
        many = HandedRoutes(
            tuple(
                Addressee(f"m{n}", (f"m{n}@example.com", f".d{n}.example"), default=n == 0)
                for n in range(500)
            ),
            VerdictFolders(junk=""),
        )
        text = many.to_json()
        assert len(text) > 4_096
        assert HandedRoutes.from_json(text) == many

    def test_those_of_a_version_that_knew_fewer_folders_are_read(self) -> None:
        text = '{"form": 1, "mailboxes": [], "folders": {"junk": "Spam"}}'
        assert HandedRoutes.from_json(text).folders == VerdictFolders(junk="Spam")

    @pytest.mark.parametrize(
        "text", ["", "[]", "{}", '{"form": 2}', '{"form": 1, "mailboxes": [{}]}', '{"form": 1}']
    )
    def test_others_are_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r".*"):
            HandedRoutes.from_json(text)

    def test_own_addresses_are_the_explicit_ones(self) -> None:
        handed = HandedRoutes(
            (
                Addressee("anna", ("anna@example.com", "example.com", ".example.com"), True),
                Addressee("bruno", ("anna@example.com", "b@x.example", "b@x.example"), False),
            )
        )
        assert handed.own_addresses("anna") == ("anna@example.com",)
        assert handed.own_addresses("bruno") == ("b@x.example",)
        assert handed.own_addresses("nobody") == ()
