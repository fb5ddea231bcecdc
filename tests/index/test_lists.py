"""The lines of the lists, which follow a mail's entry whatever comes in whatever order."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from postamt_sync.index.entry import Acceptance, Basis, IndexEntry, Stored
from postamt_sync.index.entry_item import from_item
from postamt_sync.index.function import Indexer
from postamt_sync.index.lists import (
    LONGEST_LINE,
    MOST_AT_ONCE,
    HandedVersion,
    id_prefix,
    line_name,
    read_handed,
)
from postamt_sync.mail.handed_routes import ROUTES_KEY, HandedRoutes
from postamt_sync.mail.routing import Addressee
from tests.doubles.moto import Moto
from tests.doubles.notices import AT, HEADERS, MESSAGE_ID, PREFIX, event, stored
from tests.index.test_function import Scene

pytestmark = pytest.mark.slow

ANNA = Addressee("anna", ("anna@home.example", "home.example"), default=True)
BRUNO = Addressee("bruno", ("bruno@home.example",), default=False)
BOTH = HandedRoutes((ANNA, BRUNO))
ANSWER = {**HEADERS, "Message-ID": "<b@x.example>", "References": "<a@x.example>"}


class ListScene(Scene):
    """An indexer that keeps lists too."""

    def __init__(self, cloud: Moto) -> None:
        super().__init__(cloud)
        self.lists = f"{self.table}-lists"
        cloud.make_lists(self.lists)
        self.versions = itertools.count()
        self.hand_over(BOTH)
        self.indexer = self.another()

    def receipt(self, **more: Any) -> str:
        return super().receipt(**more).replace('"quarantine"', '"none"')

    def hand_over(self, routes: HandedRoutes) -> None:
        item = {"version": f"v{next(self.versions)}", "routes": routes.to_json()}
        said = {name: {"S": value} for name, value in item.items()}
        self.dynamodb.client.put_item(TableName=self.lists, Item={**ROUTES_KEY, **said})

    def lines(self) -> dict[str, list[str]]:
        """Return the names of all lines, by list."""
        found: dict[str, list[str]] = {}
        for item in self.dynamodb.client.scan(TableName=self.lists)["Items"]:
            if item["list"] != ROUTES_KEY["list"]:
                found.setdefault(item["list"]["S"], []).append(item["line"]["S"])
        return {name: sorted(lines) for name, lines in found.items()}

    def entry(self) -> Mapping[str, Any]:
        key = {"message_id": {"S": MESSAGE_ID}}
        answer = self.dynamodb.client.get_item(TableName=self.table, Key=key)
        item: Mapping[str, Any] = answer["Item"]
        return item

    def check(self) -> None:
        """See that the lines are those that the entry knows, and say what it says."""
        entry = self.entry()
        scanned = self.dynamodb.client.scan(TableName=self.lists)["Items"]
        there = [item for item in scanned if item["list"] != ROUTES_KEY["list"]]
        assert {f"{i['list']['S']}\n{i['line']['S']}" for i in there} == set(entry["lines"]["SS"])
        for item in there:
            if not item["list"]["S"].endswith("#ids"):
                assert from_item(item) == from_item(entry)


def each(calls: Iterator[Callable[[], object]]) -> Callable[[], None]:
    """Do the next of these at each call, until there are no more."""

    def do() -> None:
        for call in itertools.islice(calls, 1):
            call()

    return do


@pytest.fixture
def scene(cloud: Moto) -> ListScene:
    return ListScene(cloud)


def test_each_mailbox_of_the_envelope_has_a_line_with_all_that_is_shown(scene: ListScene) -> None:
    scene.take(scene.put(stored(headers=ANSWER)), scene.receipt(headers=ANSWER))
    ids = sorted(f"{id_prefix(i)}{AT}#{MESSAGE_ID}" for i in ("a@x.example", "b@x.example"))
    assert scene.lines() == {
        **{f"{name}#inbox": [f"{AT}#{MESSAGE_ID}"] for name in ("anna", "bruno")},
        **{f"{name}#ids": ids for name in ("anna", "bruno")},
    }
    scene.check()


def test_a_mail_moves_from_whom_received_named_when_the_receipt_comes(scene: ListScene) -> None:
    arrived = scene.put(stored(recipient="who@elsewhere.example"))
    scene.take(arrived)
    assert list(scene.lines()) == ["anna#inbox"]  # the default mailbox
    scene.take(scene.receipt(recipients=("bruno@home.example",)))
    assert scene.lines() == {"bruno#inbox": [f"{AT}#{MESSAGE_ID}"]}
    scene.check()


def test_a_mail_of_which_no_envelope_is_known_is_nobody_s_until_it_is(scene: ListScene) -> None:
    scene.take(scene.put(b"To: bruno@home.example\r\n\r\nx"))
    assert list(scene.lines()) == ["#inbox"]
    scene.take(scene.receipt(recipients=("bruno@home.example",)))
    assert list(scene.lines()) == ["bruno#inbox"]


def test_the_lines_of_a_sealed_mail_say_no_more_than_its_entry(scene: ListScene) -> None:
    scene.take(scene.put(stored(headers=ANSWER)), scene.receipt(headers=ANSWER))
    scene.indexer.seal(f"{PREFIX}{MESSAGE_ID}")
    assert scene.lines() == {f"{name}#inbox": [f"{AT}#{MESSAGE_ID}"] for name in ("anna", "bruno")}
    assert not {"subject", "from", "sender", "own_id"} & scene.entry().keys()
    scene.check()


def test_a_verdict_that_comes_later_moves_it_to_junk(scene: ListScene) -> None:
    spam = json.loads(scene.receipt(recipients=("bruno@home.example",)))
    spam["receipt"]["spamVerdict"] = {"status": "FAIL"}
    scene.take(scene.put(stored(recipient="bruno@home.example")))
    assert list(scene.lines()) == ["bruno#inbox"]
    scene.take(json.dumps(spam))
    assert list(scene.lines()) == ["bruno#junk"]


def test_any_order_and_repetition_makes_the_same_lines(scene: ListScene) -> None:
    arrived = scene.put(stored(headers=ANSWER))
    messages = [arrived, scene.receipt(headers=ANSWER),
                scene.receipt(recipients=("carl@home.example",), headers=ANSWER)]  # fmt: skip
    found = []
    for order in itertools.permutations(messages):
        for message in (*order, order[0]):
            scene.indexer.take(message)
        scene.check()
        found.append((scene.lines(), scene.entry()["digest"]))
        for joined in scene.entry()["lines"]["SS"]:
            name, _, line = joined.partition("\n")
            key = {"list": {"S": name}, "line": {"S": line}}
            scene.dynamodb.client.delete_item(TableName=scene.lists, Key=key)
        scene.clear()
    assert all(each == found[0] for each in found)


def test_what_is_listed_already_is_not_written_again(scene: ListScene) -> None:
    messages = [scene.put(stored()), scene.receipt()]
    scene.take(*messages)
    before = len(scene.dynamodb.calls)
    scene.take(*messages)
    assert set(scene.dynamodb.names()[before:]) == {"get_item"}


def test_a_rival_between_our_look_and_our_write_leaves_no_line_behind(scene: ListScene) -> None:
    arrived = scene.put(stored(recipient="who@elsewhere.example"))
    told = scene.receipt(recipients=("bruno@home.example",))
    rival = iter([lambda: scene.another().take(told)])
    scene.dynamodb.before["transact_write_items"] = each(rival)
    scene.take(arrived)
    assert list(scene.lines()) == ["bruno#inbox"]
    scene.check()


def test_routes_that_change_while_a_mail_is_written_count_for_it(scene: ListScene) -> None:
    changed = HandedRoutes((ANNA,))
    once = iter([lambda: scene.hand_over(changed)])
    scene.dynamodb.before["transact_write_items"] = each(once)
    scene.take(scene.receipt(recipients=("bruno@home.example",)))
    assert list(scene.lines()) == ["anna#inbox"]
    assert scene.entry()["listed"] == {"S": "v1"}
    scene.check()


def failing(code: str) -> Callable[[], None]:
    def fail() -> None:
        raise ClientError({"Error": {"Code": code, "Message": ""}}, "TransactWriteItems")

    return fail


def test_lists_that_cannot_be_written_lose_no_envelope_and_the_next_attempt_completes_them(
    scene: ListScene,
) -> None:
    told = scene.receipt(recipients=("bruno@home.example",))
    scene.take(scene.put(stored(recipient="who@elsewhere.example")))
    scene.dynamodb.before["transact_write_items"] = failing("AccessDeniedException")
    with pytest.raises(ClientError):
        scene.take(told)
    assert scene.item()["recipients"] == ["bruno@home.example"]
    assert "listed" not in scene.item()
    del scene.dynamodb.before["transact_write_items"]
    scene.take(told)
    assert list(scene.lines()) == ["bruno#inbox"]
    scene.check()


@pytest.mark.parametrize("routes", ["none", "broken", "no table"])
def test_without_routes_the_envelope_is_kept_and_nothing_is_listed(
    scene: ListScene, routes: str
) -> None:
    client = scene.dynamodb.client
    if routes == "none":
        client.delete_item(TableName=scene.lists, Key=ROUTES_KEY)
    elif routes == "broken":
        item = {**ROUTES_KEY, "version": {"S": "x"}, "routes": {"S": "["}}
        client.put_item(TableName=scene.lists, Item=item)
    else:
        client.delete_table(TableName=scene.lists)
    assert read_handed(client, scene.lists) is None
    assert scene.take(scene.receipt())["accepted_by"] == "receipt"
    assert "listed" not in scene.item()


def test_a_mail_for_more_mailboxes_than_a_transaction_takes_is_listed_in_all(
    scene: ListScene,
) -> None:
    """And where it ends in the middle, the next attempt completes it."""
    number = MOST_AT_ONCE + 20
    every = tuple(Addressee(f"m{n}", (f"m{n}@home.example",), default=n == 0)
                  for n in range(number))  # fmt: skip
    scene.hand_over(HandedRoutes(every))
    told = scene.receipt(recipients=tuple(f"m{n}@home.example" for n in range(number)))
    calls = iter([list, failing("InternalServerError")])
    scene.dynamodb.before["transact_write_items"] = each(calls)
    with pytest.raises(ClientError):
        scene.take(told)
    assert "listed" not in scene.item()
    scene.take(told)
    assert len(scene.lines()) == number
    scene.check()
    scene.hand_over(BOTH)
    scene.take(told)
    assert list(scene.lines()) == ["anna#inbox"]
    scene.check()


@pytest.mark.parametrize("key", ["sent/anna/2026-11/x", "outbox/anna/x"])
def test_where_all_the_bucket_is_mail_what_the_webmail_sends_is_none(
    scene: ListScene, key: str
) -> None:
    whole = Indexer(scene.table, scene.bucket, "", scene.dynamodb, scene.s3,  # type: ignore[arg-type]
                    lambda *line: scene.said.append(line), scene.lists)  # fmt: skip
    whole.take(event(key, bucket=scene.bucket))
    assert scene.dynamodb.calls == []
    assert scene.said[-1][1] == "not of our bucket and prefix"


def test_a_name_fits_into_a_key_whatever_the_id_is() -> None:
    names = {line_name(AT, "é" * 600 + str(n)) for n in range(3)}
    assert len(names) == 3
    assert all(len(name.encode()) <= LONGEST_LINE and name.startswith(AT) for name in names)


def test_a_filled_version_is_told(scene: ListScene) -> None:
    assert read_handed(scene.dynamodb.client, scene.lists) == HandedVersion("v0", BOTH)
    item = {**ROUTES_KEY, "version": {"S": "v"}, "filled": {"S": "v"},
            "routes": {"S": BOTH.to_json()}}  # fmt: skip
    scene.dynamodb.client.put_item(TableName=scene.lists, Item=item)
    assert read_handed(scene.dynamodb.client, scene.lists) == HandedVersion("v", BOTH, filled=True)


def test_a_found_object_is_listed_by_the_envelope_that_is_known(scene: ListScene) -> None:
    """As reindex does: of mail that was indexed before there were lists."""
    lists, scene.lists = scene.lists, ""
    scene.another().take(scene.receipt(recipients=("bruno@home.example",)))
    scene.lists = lists
    body = stored(headers=ANSWER)
    etag = scene.s3.client.put_object(Bucket=scene.bucket, Key=PREFIX + MESSAGE_ID, Body=body)
    news = IndexEntry(
        MESSAGE_ID,
        PREFIX + MESSAGE_ID,
        acceptance=Acceptance(Basis.EVENT, "2026-11-02T10:11:13.000Z"),
        stored=Stored(etag["ETag"].strip('"'), len(body)),
    )
    assert scene.indexer.fill(news)
    assert scene.lines()["bruno#inbox"] == [f"{AT}#{MESSAGE_ID}"]
    assert len(scene.lines()["bruno#ids"]) == 2
    reads = len(scene.s3.calls)
    assert not scene.indexer.fill(news)
    assert len(scene.s3.calls) == reads
    scene.hand_over(HandedRoutes((ANNA,)))
    assert scene.indexer.fill(news)
    assert set(scene.lines()) == {"anna#inbox", "anna#ids"}
    assert len(scene.s3.calls) == reads
    scene.check()
    scene.take(event(PREFIX + MESSAGE_ID, bucket=scene.bucket))
    scene.check()


def test_the_header_in_a_receipt_says_whom_received_names(scene: ListScene) -> None:
    told = json.loads(scene.receipt(recipients=("bruno@home.example",)))
    lines = stored(recipient="anna@home.example").decode().split("\r\n\r\n")[0]
    unfolded = lines.replace("\r\n ", " ").split("\r\n")
    headers = [dict(zip(("name", "value"), line.split(": ", 1), strict=True)) for line in unfolded]
    told["mail"]["headers"] = headers
    scene.take(json.dumps(told))
    assert set(scene.lines()) == {"anna#inbox", "bruno#inbox"}  # as the daemon delivers it
