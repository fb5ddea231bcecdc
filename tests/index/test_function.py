"""The index Lambda against an emulated DynamoDB and S3."""

from __future__ import annotations

import importlib.util
import itertools
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postamt_sync.index import function
from postamt_sync.index.function import WRITERS_AT_ONCE, Indexer
from postamt_sync.index.stored_head import FIRST_READ
from postamt_sync.mail.header_block import LONGEST_HEAD
from tests.doubles.moto import Moto
from tests.doubles.notices import (
    AT,
    EVENT_AT,
    HEADERS,
    MESSAGE_ID,
    PREFIX,
    event,
    from_sns,
    receipt,
    record,
    stored,
)
from tests.support.campaign import examples

KEY = PREFIX + MESSAGE_ID


@dataclass
class Counted:
    """A client that notes what it is asked; `before` runs ahead of a call of that name."""

    client: Any
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    before: dict[str, Callable[[], None]] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        def call(*named: str, **parameters: Any) -> Any:
            self.calls.append((name, parameters))
            self.before.get(name, lambda: None)()
            return getattr(self.client, name)(*named, **parameters)

        return call

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


class Scene:
    """An indexer with a table and a bucket of its own."""

    lists = ""

    def __init__(self, cloud: Moto) -> None:
        self.table = f"index-{uuid.uuid4().hex}"
        self.bucket = f"mail-{uuid.uuid4().hex}"
        cloud.make_table(self.table)
        cloud.make_bucket(self.bucket)
        self.dynamodb = Counted(cloud.client("dynamodb"))
        self.s3 = Counted(cloud.client("s3"))
        self.said: list[tuple[str, str, Mapping[str, object]]] = []
        self.indexer = self.another()

    def another(self) -> Indexer:
        return Indexer(
            self.table,
            self.bucket,
            PREFIX,
            self.dynamodb,  # type: ignore[arg-type]
            self.s3,  # type: ignore[arg-type]
            lambda *line: self.said.append(line),
            self.lists,
        )

    def put(self, body: bytes, name: str = MESSAGE_ID, **more: Any) -> str:
        """Store a mail; return the notice of it."""
        answer = self.s3.client.put_object(Bucket=self.bucket, Key=PREFIX + name, Body=body, **more)
        return event(PREFIX + name, answer["ETag"].strip('"'), len(body), bucket=self.bucket)

    def receipt(self, **more: Any) -> str:
        return receipt(bucket=self.bucket, **more)

    def take(self, *messages: str) -> dict[str, Any]:
        """Take notices in and return the item that they made."""
        for message in messages:
            self.indexer.take(message)
        return self.item()

    def item(self, name: str = MESSAGE_ID) -> dict[str, Any]:
        key = {"message_id": {"S": name}}
        answer = self.dynamodb.client.get_item(TableName=self.table, Key=key)
        return {n: next(iter(v.values())) for n, v in answer.get("Item", {}).items()}

    def clear(self) -> None:
        for name in (MESSAGE_ID,):
            self.dynamodb.client.delete_item(TableName=self.table, Key={"message_id": {"S": name}})


@pytest.fixture
def scene(cloud: Moto) -> Scene:
    return Scene(cloud)


@pytest.mark.slow
def test_a_receipt_and_an_event_make_a_full_item(scene: Scene) -> None:
    body = stored()
    arrived = scene.put(body)
    assert scene.take(scene.receipt(), arrived) == {
        "message_id": MESSAGE_ID,
        "key": KEY,
        "month": "2026-11",
        "received_at": AT,
        "accepted_by": "receipt",
        "recipients": ["anna@home.example", "bruno@home.example"],
        "sender": "bounce+abc@sender.example",
        "spam": "PASS",
        "virus": "PASS",
        "spf": "GRAY",
        "dkim": "PASS",
        "dmarc": "FAIL",
        "dmarc_policy": "quarantine",
        "header_of": "receipt",
        "from": "Jürgen <juergen@sender.example>",
        "to": "list@other.example",
        "cc": "cc@other.example",
        "subject": "Guten Tag, Köln",
        "date": "Mon, 2 Nov 2026 11:11:10 +0100",
        "etag": scene.s3.client.head_object(Bucket=scene.bucket, Key=KEY)["ETag"].strip('"'),
        "size": str(len(body)),
        "sequencer": "0055aed6dcd90281e5",
        "digest": scene.item()["digest"],
    }
    assert scene.s3.names() == []  # the receipt had said it all


@pytest.mark.slow
@settings(
    max_examples=examples(15),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data(), cut=st.booleans())
def test_any_order_and_any_repetition_makes_the_same_item(
    scene: Scene, data: st.DataObject, cut: bool
) -> None:
    arrived = scene.put(stored(ballast=20_000))
    once = [arrived, scene.receipt(cut=cut), scene.receipt(recipients=("carl@home.example",))]
    scene.clear()
    expected = scene.take(*once)
    scene.clear()
    again = data.draw(st.lists(st.sampled_from(once), max_size=4))
    assert scene.take(*data.draw(st.permutations(once + again))) == expected
    assert expected["subject"] == "Guten Tag, Köln"
    assert set(expected["recipients"]) == {
        "anna@home.example",
        "bruno@home.example",
        "carl@home.example",
    }


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_a_header_that_the_receipt_cuts_off_is_read_from_the_object(
    scene: Scene, order: tuple[int, ...]
) -> None:
    notifications = [scene.put(stored()), scene.receipt(cut=True)]
    item = scene.take(*(notifications[i] for i in order))
    assert item["subject"] == "Guten Tag, Köln"
    assert (item["header_of"], item["accepted_by"]) == ("object", "receipt")
    assert item["received_at"] == AT


def test_what_is_known_already_is_not_written_again(scene: Scene) -> None:
    notifications = [scene.put(stored()), scene.receipt()]
    scene.take(*notifications)
    before = len(scene.dynamodb.calls), len(scene.s3.calls)
    scene.take(*notifications, *notifications)
    assert scene.dynamodb.names()[before[0] :] == ["get_item"] * 4
    assert scene.s3.names()[before[1] :] == []
    assert [event for _, event, _ in scene.said[-4:]] == ["known already"] * 4


def test_an_event_alone_reads_the_header_as_far_as_it_goes_and_no_byte_twice(
    scene: Scene,
) -> None:
    body = stored(ballast=100_000) + b"x" * 500_000
    item = scene.take(scene.put(body))
    assert item["subject"] == "Guten Tag, Köln"
    assert item["received_at"] == "2026-11-02T10:11:12.000Z"
    assert item["spf"] == "GRAY"
    assert "recipients" not in item
    ranges = [parameters["Range"] for _, parameters in scene.s3.calls]
    assert ranges == ["bytes=0-16383", "bytes=16384-65535", "bytes=65536-262143"]


def test_a_short_mail_is_read_once(scene: Scene) -> None:
    scene.take(scene.put(stored()))
    assert len(scene.s3.calls) == 1


def test_a_header_without_end_is_read_up_to_a_limit(scene: Scene) -> None:
    arrived = scene.put(stored()[: -len("\r\n\r\nthe body")] + b"\r\nX: " + b"x" * 3_000_000)
    assert scene.take(arrived)["subject"] == "Guten Tag, Köln"
    assert scene.s3.calls[-1][1]["Range"].endswith(f"-{LONGEST_HEAD - 1}")


@pytest.mark.parametrize(
    "body",
    [
        b"\x00\xff" * 40_000,
        b"Subject: =?x-nobody?q?=FF?=\r\nFrom: J\xfcrgen\r\n\r\n",
        b"no header",
        b"Subject: ends here",
        b"x: " + b"y" * (FIRST_READ - 3),  # ends exactly with the first read
    ],
)
def test_whatever_lies_there_is_indexed(scene: Scene, body: bytes) -> None:
    item = scene.take(scene.put(body))
    assert item["received_at"] == EVENT_AT
    assert item["size"] == str(len(body))
    assert item["header_of"] == "object"


def test_an_object_that_is_gone_empty_or_archived_is_indexed_without_its_header(
    scene: Scene,
) -> None:
    empty = scene.put(b"", "empty")
    archived = scene.put(stored("archived"), "archived", StorageClass="GLACIER")
    gone = scene.put(stored("gone"), "gone")
    scene.s3.client.delete_object(Bucket=scene.bucket, Key=PREFIX + "gone")
    scene.take(empty, archived, gone)
    for name in ("empty", "archived", "gone"):
        item = scene.item(name)
        assert item["received_at"] == EVENT_AT
        assert "header_of" not in item


def test_the_header_of_another_object_under_the_key_is_not_taken(scene: Scene) -> None:
    older = scene.put(stored(headers={"Subject": "older"}))
    newer = scene.put(stored(headers={"Subject": "newer"}))
    newer = newer.replace("0055AED6DCD90281E5", "0055AED6DCD90281E6")
    assert "subject" not in scene.take(older)
    assert scene.take(newer)["subject"] == "newer"


def test_the_header_is_read_again_when_the_object_has_changed(scene: Scene) -> None:
    scene.take(scene.put(stored(headers={"Subject": "one"})))
    newer = scene.put(stored(headers={"Subject": "two"}))
    scene.take(newer.replace("0055AED6DCD90281E5", "0055AED6DCD90281E6"))
    assert len(scene.s3.calls) == 2


def test_keys_are_decoded_as_s3_encodes_them(scene: Scene) -> None:
    name = "with a space+and ü/and more"
    arrived = scene.put(stored(), name)
    encoded = arrived.replace(json.dumps(name)[1:-1], "with+a+space%2Band+%C3%BC/and+more")
    scene.take(encoded)
    assert scene.item(name)["subject"] == "Guten Tag, Köln"
    assert scene.item(name)["key"] == PREFIX + name


@pytest.mark.parametrize("cut", [False, True])
def test_a_rival_s_work_is_not_undone(scene: Scene, cut: bool) -> None:
    """Between our look at the item and our writing it, the other notice is written."""
    arrived = scene.put(stored())
    rival = iter([lambda: scene.another().take(scene.receipt(cut=cut))])

    def interfere() -> None:
        next(rival, lambda: None)()

    scene.dynamodb.before["update_item"] = interfere
    item = scene.take(arrived)
    assert (item["accepted_by"], item["header_of"]) == ("receipt", "object" if cut else "receipt")
    assert item["sequencer"]
    assert len(scene.s3.calls) == 1  # the header was not read again after the lost race
    looks = [parameters for name, parameters in scene.dynamodb.calls if name == "get_item"]
    assert all(look["ConsistentRead"] for look in looks)  # else one race would follow another


def test_races_that_never_end_fail_the_notice(scene: Scene) -> None:
    numbers = itertools.count()

    def interfere() -> None:
        item = {"message_id": {"S": MESSAGE_ID}, "key": {"S": KEY}}
        item["digest"] = {"S": str(next(numbers))}
        scene.dynamodb.client.put_item(TableName=scene.table, Item=item)

    scene.dynamodb.before["update_item"] = interfere
    with pytest.raises(TimeoutError):
        scene.take(scene.receipt())
    assert scene.dynamodb.names().count("update_item") == WRITERS_AT_ONCE


def test_attributes_of_others_stay_even_those_that_come_while_we_write(scene: Scene) -> None:
    def annotate() -> None:
        scene.dynamodb.client.update_item(
            TableName=scene.table,
            Key={"message_id": {"S": MESSAGE_ID}},
            UpdateExpression="SET seen_at = :t",
            ExpressionAttributeValues={":t": {"S": "2027"}},
        )

    scene.take(scene.receipt())
    scene.dynamodb.before["update_item"] = annotate
    item = scene.take(scene.put(stored()))
    assert (item["seen_at"], item["sequencer"]) == ("2027", "0055aed6dcd90281e5")


def test_a_field_that_the_better_source_does_not_have_is_taken_out(scene: Scene) -> None:
    assert scene.take(scene.put(stored()))["cc"] == "cc@other.example"
    assert "cc" not in scene.take(scene.receipt(headers={"From": "a@d.example"}))


def test_an_absent_field_leaves_no_attribute_behind(scene: Scene) -> None:
    item = scene.take(scene.receipt(headers={"From": "a@d.example"}))
    assert item["from"] == "a@d.example"
    assert not {"to", "cc", "subject", "date"} & set(item)


def test_items_are_found_by_the_time_they_were_received(cloud: Moto, scene: Scene) -> None:
    """And not by the sender's Date, which says what the sender likes."""
    times = {
        "b": "2026-11-02T10:11:12.345Z",
        "c": "2026-11-30T00:00:00.000Z",
        "a": "2026-11-01T00:00:00.000Z",
    }
    for name, time in times.items():
        message = scene.receipt(name=name, headers={"Date": f"Thu, 1 Jan 19{70 + ord(name) % 9}"})
        scene.indexer.take(message.replace(AT, time))
    found = cloud.client("dynamodb").query(
        TableName=scene.table,
        IndexName="by_received",
        KeyConditionExpression="#m = :m",
        ExpressionAttributeNames={"#m": "month"},
        ExpressionAttributeValues={":m": {"S": "2026-11"}},
    )
    assert [item["message_id"]["S"] for item in found["Items"]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "message",
    [
        receipt(bucket="another"),
        receipt(prefix="other/", bucket="OURS"),
        event("incoming/", size=1, bucket="OURS"),
        event("recent/x", bucket="OURS"),
        event("x" * 1000, bucket="OURS"),
    ],
)
def test_what_is_not_ours_is_left_alone(scene: Scene, message: str) -> None:
    scene.take(message.replace("OURS", scene.bucket))
    assert scene.dynamodb.calls == []
    assert scene.s3.calls == []
    assert [(level, what) for level, what, _ in scene.said] == [
        ("warning", "not of our bucket and prefix")
    ]


def test_what_the_webmail_sends_is_none_of_the_index_and_nothing_odd(scene: Scene) -> None:
    key = "sent/anna/2026-11/0123456789-0123456789"
    scene.take(event(key, bucket=scene.bucket))
    assert scene.dynamodb.calls == scene.s3.calls == []
    assert [(level, what) for level, what, _ in scene.said] == [("info", "sent by the webmail")]


@pytest.mark.parametrize(
    "message",
    [
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"}),
        receipt(name="AMAZON_SES_SETUP_NOTIFICATION"),
        event("incoming/folder/", size=0),
    ],
)
def test_what_is_no_mail_costs_nothing(scene: Scene, message: str) -> None:
    scene.take(message)
    assert scene.dynamodb.calls == []
    assert [what for _, what, _ in scene.said] == ["no mail"]


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{}",
        "no json",
        "[]",
        "[" * 100_000,
        '"\\ud800"',
        json.dumps({"notificationType": "Bounce"}),
        json.dumps({"eventType": "Something New", "mail": {}}),
        json.dumps({"Records": [{"eventVersion": "3.0"}]}),
    ],
)
def test_what_cannot_be_used_is_said_and_fails_nothing(scene: Scene, message: str) -> None:
    """Lambda would try it twice more, in vain, and a person would be told of a dead letter."""
    scene.take(message)
    assert scene.dynamodb.calls == []
    ((level, what, _),) = scene.said
    assert (level, what) == ("warning", "not understood")


@pytest.mark.parametrize(
    "event_",
    [None, [], "x", {}, {"Records": None}, {"Records": [None, {}, {"Sns": 1}, {"Sns": {}}]}],
)
def test_an_invocation_by_hand_fails_nothing(
    event_: object, capsys: pytest.CaptureFixture[str]
) -> None:
    function.handle(event_, None)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["event"] for line in lines} == {"not understood"}


def test_a_failure_is_raised_after_the_others_were_done(scene: Scene) -> None:
    both = {
        "Records": [
            record(f"{PREFIX}denied", "00", 1, "01", scene.bucket),
            record(f"{PREFIX}{MESSAGE_ID}", "00", 0, "01", scene.bucket),
        ]
    }

    def deny() -> None:
        if scene.s3.calls[-1][1]["Key"].endswith("denied"):
            answer = {
                "Error": {"Code": "AccessDenied"},
                "ResponseMetadata": {"HTTPStatusCode": 403},
            }
            raise ClientError(answer, "GetObject")  # type: ignore[arg-type]

    scene.s3.before["get_object"] = deny
    with pytest.raises(ClientError, match="AccessDenied"):
        scene.take(json.dumps(both))
    assert scene.item("denied") == {}
    assert scene.item()["sequencer"] == "01"
    assert ("error", "not indexed") in [(level, what) for level, what, _ in scene.said]


def test_no_address_and_nothing_of_the_content_is_logged(scene: Scene) -> None:
    scene.take(scene.put(stored()), scene.receipt(), scene.receipt())
    said = json.dumps(scene.said)
    assert "@" not in said
    assert not [value for value in HEADERS.values() if value in said]
    assert [(level, what) for level, what, _ in scene.said] == [
        ("info", "indexed"),
        ("info", "indexed"),
        ("info", "known already"),
    ]


def loaded_anew() -> Any:
    """Return the module as a new process of Lambda's has it: without clients."""
    spec = importlib.util.spec_from_file_location("function_anew", function.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lambda_s_own_entrance(
    cloud: Moto, scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {"TABLE": scene.table, "BUCKET": scene.bucket, "PREFIX": PREFIX}
    for name, value in (cloud.environment | environment).items():
        monkeypatch.setenv(name, value)
    loaded_anew().handle(from_sns(scene.receipt()), None)
    assert scene.item()["accepted_by"] == "receipt"
    line = json.loads(capsys.readouterr().out)
    assert line["event"] == "indexed"
    assert len(line["mail"]) == 24


@pytest.mark.slow
def test_a_sealed_mail_loses_what_others_wrote_and_no_late_receipt_brings_it_back(
    scene: Scene,
) -> None:
    arrived = scene.put(stored())
    before = scene.take(scene.receipt(), arrived)
    scene.indexer.seal(KEY)
    once = scene.item()
    of_others = {"sender", "from", "to", "cc", "subject", "date"}
    assert before.keys() - once.keys() == of_others
    assert once["sealed"] == "yes"
    assert once["recipients"] == before["recipients"]
    for late in (scene.receipt(), arrived, scene.receipt(cut=True)):
        item = scene.take(late)
        assert not item.keys() & of_others
    assert item["digest"] == once["digest"]
    scene.indexer.seal(KEY)
    assert scene.item() == item
    assert scene.s3.names() == [], "the object of a sealed mail is not read for its words"


@pytest.mark.slow
def test_a_mail_that_was_sealed_before_it_was_known_stays_without_words(scene: Scene) -> None:
    arrived = scene.put(stored())
    scene.indexer.seal(KEY)
    item = scene.take(arrived, scene.receipt())
    assert item["recipients"] == ["anna@home.example", "bruno@home.example"]
    assert item["received_at"] == AT
    assert "subject" not in item
    assert scene.s3.names() == []


def test_what_is_not_ours_is_not_noted_as_sealed(scene: Scene) -> None:
    for key in ("recent/x", "incoming/", PREFIX + "x" * 3_000):
        scene.indexer.seal(key)
    assert "update_item" not in scene.dynamodb.names()


def test_keys_that_were_sealed_are_no_notification(capsys: pytest.CaptureFixture[str]) -> None:
    for event_ in ({"sealed": []}, {"sealed": None}, {"sealed": [1, None]}):
        function.handle(event_, None)
    assert capsys.readouterr().out == ""
