"""What a notification means, and that nothing but a true one is taken for something."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.mail.arrival import Arrival, Envelope, Source, Verdicts
from postamt_sync.mail.feedback import Feedback, FeedbackKind
from postamt_sync.mail.json_member import LARGEST_SIZE
from postamt_sync.mail.notification import (
    LONGEST_ETAG,
    Notification,
    NotificationKind,
    read_notification,
)

MESSAGE_ID = "4k1s0vq2m8d7c6b5a4938271605fedcba9876543"
KEY = f"incoming/{MESSAGE_ID}"
SETUP = "AMAZON_SES_SETUP_NOTIFICATION"
REMOVE = object()


def receipt(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """A receipt as SES publishes it; `changes` maps dotted paths to values or REMOVE."""
    return changed(
        {
            "notificationType": "Received",
            "mail": {
                "timestamp": "2026-11-02T10:11:12.000Z",
                "source": "bounce+abc@sender.example",
                "messageId": MESSAGE_ID,
                "destination": ["list@other.example"],
                "headersTruncated": False,
                "headers": [{"name": "Return-Path", "value": "<bounce+abc@sender.example>"}],
                "commonHeaders": {"to": ["list@other.example"], "subject": "hello"},
            },
            "receipt": {
                "timestamp": "2026-11-02T10:11:12.000Z",
                "processingTimeMillis": 512,
                "recipients": ["me@example.com", "Bcc@example.com"],
                "spamVerdict": {"status": "PASS"},
                "virusVerdict": {"status": "GRAY"},
                "spfVerdict": {"status": "PROCESSING_FAILED"},
                "dkimVerdict": {"status": "PASS"},
                "dmarcVerdict": {"status": "FAIL"},
                "dmarcPolicy": "reject",
                "action": {
                    "type": "S3",
                    "topicArn": "arn:aws:sns:eu-west-1:123456789012:postamt",
                    "bucketName": "mail",
                    "objectKeyPrefix": "other/",
                    "objectKey": KEY,
                },
            },
        },
        changes,
    )


def event(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """An event of one record as S3 publishes it; `changes` as above, within the record."""
    record = {
        "eventVersion": "2.6",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": "2026-11-02T10:11:12.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": "mail", "arn": "arn:aws:s3:::mail"},
            "object": {
                "key": KEY,
                "size": 1234,
                "eTag": "0123456789abcdef0123456789abcdef",
                "sequencer": "0055AED6DCD90281E5",
            },
        },
    }
    return {"Records": [changed(record, changes)]}


def changed(body: dict[str, Any], changes: dict[str, Any] | None) -> dict[str, Any]:
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        place = body
        for parent in parents:
            place = place[parent]
        if value is REMOVE:
            del place[last]
        else:
            place[last] = value
    return body


def read(body: object, source: Source = Source.WEBHOOK) -> Notification:
    return read_notification(json.dumps(body), source)


def only(notification: Notification) -> Arrival:
    (arrival,) = notification.arrivals
    return arrival


def envelope(notification: Notification) -> Envelope:
    known = only(notification).envelope
    assert known is not None
    return known


def assert_not_understood(notification: Notification) -> None:
    assert notification.kind is NotificationKind.NOT_UNDERSTOOD
    assert notification.arrivals == ()
    assert notification.reason


# SES's receipt


@pytest.mark.parametrize("source", Source)
def test_a_receipt_knows_the_envelope(source: Source) -> None:
    known = Envelope(
        recipients=("me@example.com", "Bcc@example.com"),
        sender="bounce+abc@sender.example",
        verdicts=Verdicts("PASS", "GRAY", "PROCESSING_FAILED", "PASS", "FAIL", "reject"),
    )
    arrival = Arrival("mail", KEY, source, envelope=known)
    assert read(receipt(), source) == Notification(NotificationKind.RECEIPT, (arrival,))


@pytest.mark.parametrize(
    "key", ["a b", "a+b%2Bc", "../../x", "a//b\n", "Grüße", MESSAGE_ID, "k" * 1024, "é" * 512]
)
def test_the_key_of_a_receipt_is_taken_as_it_stands(key: str) -> None:
    assert only(read(receipt({"receipt.action.objectKey": key}))).key == key


def test_the_prefix_may_be_missing() -> None:
    assert only(read(receipt({"receipt.action.objectKeyPrefix": REMOVE}))).key == KEY


@pytest.mark.parametrize("sender", ["", "<>", None, REMOVE])
def test_a_null_reverse_path_is_no_sender(sender: object) -> None:
    assert envelope(read(receipt({"mail.source": sender}))).sender is None


def test_a_receipt_may_name_nobody() -> None:
    assert envelope(read(receipt({"receipt.recipients": []}))).recipients == ()


@pytest.mark.parametrize("name", ["spam", "virus", "spf", "dkim", "dmarc"])
@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ({"status": "PASS"}, "PASS"),
        ({"status": "FAIL"}, "FAIL"),
        ({"status": "GRAY"}, "GRAY"),
        ({"status": "PROCESSING_FAILED"}, "PROCESSING_FAILED"),
        ({"status": "DISABLED"}, None),
        ({"status": "pass"}, None),
        ({"status": ""}, None),
        ({"status": None}, None),
        ({}, None),
        (None, None),
        (REMOVE, None),
    ],
)
def test_the_four_documented_verdicts(name: str, verdict: object, expected: str | None) -> None:
    known = envelope(read(receipt({f"receipt.{name}Verdict": verdict})))
    assert getattr(known.verdicts, name) == expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("none", "none"),
        ("quarantine", "quarantine"),
        ("reject", "reject"),
        ("sp", None),
        ("", None),
        (None, None),
        (REMOVE, None),
    ],
)
def test_a_dmarc_policy_that_is_none_of_the_three_is_unknown(
    policy: object, expected: str | None
) -> None:
    assert (
        envelope(read(receipt({"receipt.dmarcPolicy": policy}))).verdicts.dmarc_policy == expected
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"mail.messageId": SETUP, "receipt.action.objectKey": f"incoming/{SETUP}"},
        {"mail.messageId": SETUP, "receipt": REMOVE},
        {"receipt.action.objectKey": f"incoming/{SETUP}"},
        {"receipt.action.objectKey": SETUP, "receipt.recipients": REMOVE},
    ],
)
def test_the_setup_notification_is_understood_and_brings_no_mail(changes: dict[str, Any]) -> None:
    notification = read(receipt(changes))
    assert (notification.kind, notification.arrivals) == (NotificationKind.RECEIPT, ())
    assert notification.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"notificationType": "Bounce"},
        {"notificationType": "Complaint"},
        {"notificationType": "Reject"},
        {"notificationType": "AMAZON_SES_SUBSCRIPTION_SUCCESS_EVENT"},
        {"notificationType": None},
        {"notificationType": ["Received"]},
        {"mail": REMOVE},
        {"mail": "mail"},
        {"mail.source": 7},
        {"mail.source": "\ud800@example.com"},
        {"receipt": REMOVE},
        {"receipt": []},
        {"receipt.action": REMOVE},
        {"receipt.action": None},
        {"receipt.action.type": REMOVE},
        {"receipt.action.type": "SNS"},
        {"receipt.action.type": "Lambda"},
        {"receipt.action.type": ["S3"]},
        {"receipt.action.bucketName": REMOVE},
        {"receipt.action.bucketName": 1},
        {"receipt.action.bucketName": ""},
        {"receipt.action.bucketName": "../etc"},
        {"receipt.action.bucketName": "mail\n"},
        {"receipt.action.objectKey": REMOVE},
        {"receipt.action.objectKey": None},
        {"receipt.action.objectKey": 1},
        {"receipt.action.objectKey": ""},
        {"receipt.action.objectKey": "k" * 1025},
        {"receipt.action.objectKey": "é" * 513},
        {"receipt.action.objectKey": "lone \udfff"},
        {"receipt.recipients": REMOVE},
        {"receipt.recipients": None},
        {"receipt.recipients": "me@example.com"},
        {"receipt.recipients": {"me@example.com": 1}},
        {"receipt.recipients": ["me@example.com", None]},
        {"receipt.recipients": [["me@example.com"]]},
        {"receipt.recipients": ["\ud800"]},
        {"receipt.spamVerdict": "FAIL"},
        {"receipt.spamVerdict": ["FAIL"]},
        {"receipt.spamVerdict": {"status": 1}},
        {"receipt.dmarcPolicy": ["none"]},
        {"receipt.dmarcPolicy": True},
    ],
)
def test_a_receipt_that_is_not_as_it_should_be(changes: dict[str, Any]) -> None:
    assert_not_understood(read(receipt(changes)))


# S3's event


@pytest.mark.parametrize("source", Source)
def test_an_event_knows_etag_and_size(source: Source) -> None:
    etag = "0123456789abcdef0123456789abcdef"
    arrival = Arrival("mail", KEY, source, etag=etag, size=1234)
    assert read(event(), source) == Notification(NotificationKind.S3_EVENT, (arrival,))


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("incoming/a+b%2Bc", "incoming/a b+c"),
        ("incoming%2Fa%20b", "incoming/a b"),
        ("Gr%C3%BC%C3%9Fe", "Grüße"),
        ("Grüße", "Grüße"),
        ("..%2F..%2Fetc/passwd", "../../etc/passwd"),
        ("a%0Ab%00", "a\nb\0"),
        ("100%", "100%"),
        ("%zz", "%zz"),
        ("%25", "%"),
        ("%E4%BE%8B" * 341, "例" * 341),
    ],
)
def test_the_key_of_an_event_is_decoded_once(written: str, key: str) -> None:
    assert only(read(event({"s3.object.key": written}))).key == key


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.6", "2.99"])
@pytest.mark.parametrize("name", ["Put", "CompleteMultipartUpload", "Copy", "Later"])
def test_any_creation_in_version_two(version: str, name: str) -> None:
    changes = {"eventVersion": version, "eventName": f"ObjectCreated:{name}", "new": {"a": [1]}}
    assert only(read(event(changes))).key == KEY


@pytest.mark.parametrize(
    ("etag", "expected"),
    [
        ('"abc-12"', "abc-12"),
        ("abc", "abc"),
        ("", None),
        ('""', None),
        (None, None),
        (REMOVE, None),
    ],
)
def test_an_etag_is_without_quotes(etag: object, expected: str | None) -> None:
    assert only(read(event({"s3.object.eTag": etag}))).etag == expected


@pytest.mark.parametrize(
    ("size", "expected"), [(0, 0), (LARGEST_SIZE, LARGEST_SIZE), (None, None), (REMOVE, None)]
)
def test_a_size_may_be_missing_and_as_large_as_a_ledger_can_hold(
    size: object, expected: int | None
) -> None:
    assert only(read(event({"s3.object.size": size}))).size == expected


def test_each_record_that_created_a_mail_is_an_arrival() -> None:
    body = event()
    body["Records"] += event({"s3.object.key": "b"})["Records"]
    body["Records"] += event({"eventName": "ObjectRemoved:Delete"})["Records"]
    body["Records"] += event({"s3.object.key": f"incoming/{SETUP}"})["Records"]
    notification = read(body)
    assert [arrival.key for arrival in notification.arrivals] == [KEY, "b"]
    assert (notification.kind, notification.reason) == (NotificationKind.S3_EVENT, "")


def test_one_bad_record_spoils_the_notification() -> None:
    body = event()
    body["Records"] += event({"s3.object.size": "1"})["Records"]
    assert_not_understood(read(body))


@pytest.mark.parametrize(
    "changes",
    [
        {"eventName": "ObjectRemoved:Delete"},
        {"eventName": "ObjectRestore:Completed", "s3": REMOVE},
        {"eventName": "s3:ObjectCreated:Put"},
        {"eventName": ""},
        {"s3.object.key": f"incoming/{SETUP}"},
        {"s3.object.key": "incoming/", "s3.object.size": 0},
    ],
)
def test_an_event_that_created_no_mail(changes: dict[str, Any]) -> None:
    notification = read(event(changes))
    assert (notification.kind, notification.arrivals) == (NotificationKind.S3_EVENT, ())
    assert notification.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"eventVersion": REMOVE},
        {"eventVersion": "1.0"},
        {"eventVersion": "3.0"},
        {"eventVersion": "20.1"},
        {"eventVersion": 2.6},
        {"eventVersion": ""},
        {"eventName": REMOVE},
        {"eventName": 1},
        {"s3": REMOVE},
        {"s3": []},
        {"s3.object": REMOVE},
        {"s3.object": None},
        {"s3.bucket": REMOVE},
        {"s3.bucket": "mail"},
        {"s3.bucket.name": REMOVE},
        {"s3.bucket.name": ["mail"]},
        {"s3.bucket.name": "mail/.."},
        {"s3.object.key": REMOVE},
        {"s3.object.key": 1},
        {"s3.object.key": ""},
        {"s3.object.key": "%FF%FE"},
        {"s3.object.key": "%ED%A0%80"},
        {"s3.object.key": "\ud800"},
        {"s3.object.key": "\ud800%41"},
        {"s3.object.key": "k" * 1025},
        {"s3.object.key": "%C3%A9" * 513},
        {"s3.object.size": "1234"},
        {"s3.object.size": 1234.0},
        {"s3.object.size": True},
        {"s3.object.size": -1},
        {"s3.object.size": LARGEST_SIZE + 1},
        {"s3.object.size": 10**400},
        {"s3.object.eTag": 1},
        {"s3.object.eTag": "a\r\nX-Injected: 1"},
        {"s3.object.eTag": 'a"b'},
        {"s3.object.eTag": "é"},
        {"s3.object.eTag": "\ud800"},
        {"s3.object.eTag": "a" * (LONGEST_ETAG + 1)},
    ],
)
def test_an_event_that_is_not_as_it_should_be(changes: dict[str, Any]) -> None:
    assert_not_understood(read(event(changes)))


@pytest.mark.parametrize("records", [[], {}, None, "x", [None], [[]], ["x"]])
def test_records_that_are_no_records_are_not_understood(records: object) -> None:
    assert_not_understood(read({"Records": records}))


# Anything else


def test_s3_s_test_event_is_understood() -> None:
    body = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "mail"}
    assert read(body) == Notification(NotificationKind.TEST_EVENT)


def test_a_receipt_that_is_also_an_event_is_a_receipt() -> None:
    both = receipt() | event() | {"Event": "s3:TestEvent"}
    assert read(both).kind is NotificationKind.RECEIPT
    assert read(event() | {"Event": "s3:TestEvent"}).kind is NotificationKind.S3_EVENT


DEEP = 100_000


@pytest.mark.parametrize(
    "message",
    [
        "",
        " ",
        "null",
        "1",
        "true",
        '"text"',
        "[]",
        "{}",
        "{",
        "You have chosen to subscribe to the topic",
        "\ufeff{}",
        "\ud800",
        '{"Event": "s3:OtherEvent"}',
        '{"Event": ["s3:TestEvent"]}',
        '{"Event": "s3:TestEvent", "Time": NaN}',
        '{"Event": "s3:TestEvent", "Time": -Infinity}',
        '{"Event": "s3:TestEvent", "Time": ' + "9" * 10_000 + "}",
        "[" * DEEP,
        "[" * DEEP + "]" * DEEP,
        '{"Records":' * DEEP + "1" + "}" * DEEP,
    ],
    ids=lambda message: ascii(message[:40]),
)
def test_what_is_neither_receipt_nor_event_is_not_understood(message: str) -> None:
    assert_not_understood(read_notification(message, Source.QUEUE))


@pytest.mark.parametrize("body", [receipt(), event()], ids=["receipt", "event"])
def test_a_reason_holds_nothing_foreign(body: dict[str, Any]) -> None:
    for notification in every_damage(body, "FOREIGN\n\x1b[2J"):
        assert notification.reason.isprintable()
        assert "FOREIGN" not in notification.reason


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.text(st.characters()))
def test_any_text_is_read(message: str) -> None:
    assert_not_understood(read_notification(message, Source.WEBHOOK))


@pytest.mark.slow
@given(JUNK, st.sampled_from([receipt, event]))
def test_junk_anywhere_is_read(junk: object, true: Any) -> None:
    for notification in every_damage(true(), junk):
        assert isinstance(notification, Notification)
        for arrival in notification.arrivals:
            assert_fit_for_a_ledger(arrival)


def every_damage(body: object, junk: object) -> list[Notification]:
    """Read `body` once for each of its values, with `junk` in its place."""
    notifications = []

    def damage(place: Any) -> None:
        for name in place if isinstance(place, dict) else range(len(place)):
            whole, place[name] = place[name], junk
            notifications.append(read(body))
            place[name] = whole
            if isinstance(whole, (dict, list)):
                damage(whole)

    damage(body)
    return notifications


def assert_fit_for_a_ledger(arrival: Arrival) -> None:
    texts = [arrival.bucket, arrival.key, arrival.etag or ""]
    if arrival.envelope is not None:
        texts += [*arrival.envelope.recipients, arrival.envelope.sender or ""]
    for text in texts:
        text.encode()
    assert 1 <= len(arrival.key.encode()) <= 1024
    assert arrival.size is None or 0 <= arrival.size < 2**63


# Feedback on mail that was sent


def bounce(**changes: Any) -> dict[str, Any]:
    what = {
        "feedbackId": "0100018b-1",
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "timestamp": "2026-11-02T10:11:12.000Z",
        "bouncedRecipients": [
            {
                "emailAddress": "clara@sender.example",
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 user unknown",
            }
        ],
    }
    mail = {"messageId": "0100018b-2", "commonHeaders": {"subject": "Tea"}}
    return {"notificationType": "Bounce", "bounce": {**what, **changes}, "mail": mail}


def complaint() -> dict[str, Any]:
    what = {
        "feedbackId": "0100018b-3",
        "complaintFeedbackType": "abuse",
        "timestamp": "2026-11-02T10:11:12.000Z",
        "complainedRecipients": [{"emailAddress": "clara@sender.example"}],
    }
    return {"notificationType": "Complaint", "complaint": what, "mail": {"messageId": "m"}}


def published(body: dict[str, Any]) -> dict[str, Any]:
    """The same as a configuration set's event destination publishes it."""
    event = {"eventType": body["notificationType"], **body}
    del event["notificationType"]
    return event


@pytest.mark.parametrize("shape", [dict, published])
def test_a_bounce_says_who_and_why(shape: Any) -> None:
    feedback = Feedback(
        FeedbackKind.BOUNCE,
        "0100018b-1",
        1793614272.0,
        ("clara@sender.example",),
        "Permanent General smtp; 550 5.1.1 user unknown",
        "Tea",
    )
    assert read(shape(bounce())) == Notification(NotificationKind.FEEDBACK, feedback=feedback)


@pytest.mark.parametrize("shape", [dict, published])
def test_a_complaint_says_who(shape: Any) -> None:
    feedback = read(shape(complaint())).feedback
    assert feedback is not None
    assert (feedback.kind, feedback.id, feedback.subject) == ("complaint", "0100018b-3", "")
    assert feedback.recipients == ("clara@sender.example",)
    assert feedback.reason == "abuse"


@pytest.mark.parametrize("moment", ["soon", "", "9999-12-31T23:59:59+14:00x", None])
def test_a_bounce_without_a_moment_is_one_too(moment: str | None) -> None:
    feedback = read(bounce(timestamp=moment)).feedback
    assert feedback is not None
    assert feedback.at is None


def test_without_an_id_of_its_own_the_mails_counts() -> None:
    feedback = read(bounce(feedbackId=None)).feedback
    assert feedback is not None
    assert feedback.id == "0100018b-2"


@pytest.mark.parametrize("event", ["Send", "Delivery", "DeliveryDelay", "Open", "Click"])
def test_what_went_well_is_understood_and_nothing_to_tell(event: str) -> None:
    for name in ("eventType", "notificationType"):
        notification = read({name: event, event.lower(): {}, "mail": {}})
        assert (notification.kind, notification.feedback, notification.arrivals) == (
            NotificationKind.FEEDBACK,
            None,
            (),
        )


@pytest.mark.parametrize(
    ("event", "more", "reason"),
    [
        ("Reject", {"reject": {"reason": "Bad content"}}, "SES rejected it: Bad content"),
        (
            "Rendering Failure",
            {"failure": {"errorMessage": "No 'name'.", "templateName": "t"}},
            "SES could not make it from its template: No 'name'.",
        ),
        ("RenderingFailure", {}, "SES could not make it from its template"),
        ("Reject", {"reject": None}, "SES rejected it"),
    ],
)
def test_a_mail_that_ses_took_and_did_not_send_is_told(
    event: str, more: dict[str, Any], reason: str
) -> None:
    mail = {
        "messageId": "0100018b-9",
        "timestamp": "2026-11-24T18:12:09.000Z",
        "source": "anna@home.example",
        "destination": ["clara@sender.example", "dora@sender.example"],
        "commonHeaders": {"subject": "Hello"},
    }
    feedback = read({"eventType": event, "mail": mail, **more}).feedback
    assert feedback is not None
    assert (feedback.kind, feedback.id, feedback.subject) == ("not-sent", "0100018b-9", "Hello")
    assert feedback.recipients == ("clara@sender.example", "dora@sender.example")
    assert feedback.reason == reason
    assert feedback.at == 1795543929.0
    bare = read({"eventType": event, "mail": {"messageId": "x"}}).feedback
    assert bare is not None
    assert (bare.recipients, bare.at, bare.subject) == ((), None, "")


@pytest.mark.parametrize(
    "body",
    [
        {"eventType": "Reject"},
        {"eventType": "Reject", "mail": {}},
        {"eventType": "Reject", "mail": {"messageId": "x", "destination": "clara"}},
        {"eventType": "Reject", "mail": {"messageId": "x"}, "reject": "no"},
        {"eventType": "Rendering Failure", "mail": {"messageId": "x"}, "failure": []},
    ],
)
def test_one_that_is_not_as_it_should_be_is_not_understood(body: dict[str, Any]) -> None:
    assert_not_understood(read(body))


@pytest.mark.parametrize(
    "message",
    [
        "Successfully validated SNS topic for Amazon SES event publishing.",
        "  Successfully validated SNS topic for Amazon SES event publishing.\n",
    ],
)
def test_ses_says_in_plain_text_that_it_tried_out_a_topic(message: str) -> None:
    notification = read_notification(message, Source.WEBHOOK)
    assert notification.kind is NotificationKind.TEST_EVENT
    assert notification.arrivals == ()


def test_ses_trying_out_where_to_send_feedback_is_a_test() -> None:
    body = {"notificationType": "AmazonSnsSubscriptionSucceeded", "message": "You have ..."}
    assert read(body).kind is NotificationKind.TEST_EVENT


@pytest.mark.parametrize(
    "changes",
    [
        {"bouncedRecipients": None},
        {"bouncedRecipients": "clara"},
        {"bouncedRecipients": [{"emailAddress": 1}]},
        {"bouncedRecipients": [{}]},
        {"bouncedRecipients": [{"emailAddress": "\ud800"}]},
        {"feedbackId": 1},
        {"bounceType": []},
    ],
)
def test_a_bounce_that_is_not_as_it_should_be(changes: dict[str, Any]) -> None:
    assert_not_understood(read(bounce(**changes)))
