"""Reading and proving SNS messages."""

from __future__ import annotations

import json

import pytest

from postamt_sync.intake.sns_message import (
    LONGEST_LINE,
    ForgedError,
    MalformedError,
    MessageType,
    read_message,
    string_to_sign,
    verify,
)
from tests.doubles.sns import Signer, body, private_key


def test_string_to_sign_of_a_notification_ends_in_a_newline():
    message = read_message(body(Signer().notification("hello", MessageId="m-1")))
    assert string_to_sign(message) == (
        b"Message\nhello\nMessageId\nm-1\nTimestamp\n2026-11-02T10:11:12.345Z\n"
        b"TopicArn\narn:aws:sns:eu-west-1:123456789012:postamt\nType\nNotification\n"
    )


def test_string_to_sign_includes_a_subject_even_if_empty():
    message = read_message(body(Signer().notification("hello", MessageId="m-1", Subject="")))
    assert b"MessageId\nm-1\nSubject\n\nTimestamp\n" in string_to_sign(message)


def test_string_to_sign_of_a_confirmation():
    message = read_message(body(Signer().confirmation(MessageId="m-1", Message="hi")))
    assert string_to_sign(message) == (
        b"Message\nhi\nMessageId\nm-1\n"
        b"SubscribeURL\nhttps://sns.eu-west-1.amazonaws.com/?Token=t0k3n\n"
        b"Timestamp\n2026-11-02T10:11:12.345Z\nToken\nt0k3n\n"
        b"TopicArn\narn:aws:sns:eu-west-1:123456789012:postamt\nType\nSubscriptionConfirmation\n"
    )


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [{}, {"Subject": "Amazon S3 Notification"}])
def test_a_true_notification_verifies(version, subject):
    signed = Signer(version=version).notification("Grüße\r\n\t🦉\nType\nx", **subject)
    verify(read_message(body(signed)), private_key().public_key())


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("kind", ["confirmation", "unsubscription"])
def test_true_confirmations_verify(version, kind):
    signed = getattr(Signer(version=version), kind)()
    message = read_message(body(signed))
    verify(message, private_key().public_key())
    assert message.type is not MessageType.NOTIFICATION


def test_a_signature_of_the_other_version_does_not_verify():
    signed = Signer(version="1").notification("hello") | {"SignatureVersion": "2"}
    with pytest.raises(ForgedError):
        verify(read_message(body(signed)), private_key().public_key())


@pytest.mark.parametrize("version", ["0", "3", "02", "SHA256", "1.0"])
def test_other_signature_versions_are_refused(version):
    signed = Signer().notification("hello") | {"SignatureVersion": version}
    with pytest.raises(ForgedError, match="SignatureVersion"):
        verify(read_message(body(signed)), private_key().public_key())


def test_unknown_members_are_ignored():
    signed = Signer().notification("hello") | {"MessageAttributes": {"a": 1}, "New": None}
    verify(read_message(body(signed)), private_key().public_key())


REQUIRED = ["Type", "MessageId", "TopicArn", "Message", "Timestamp"]
REQUIRED += ["SignatureVersion", "Signature", "SigningCertURL"]


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, 1, ["x"], {"x": "y"}, True])
def test_required_members_must_be_text(name, value):
    with pytest.raises(MalformedError):
        read_message(body(Signer().notification("hello") | {name: value}))


@pytest.mark.parametrize("name", REQUIRED)
def test_required_members_must_be_there(name):
    signed = Signer().notification("hello")
    del signed[name]
    with pytest.raises(MalformedError):
        read_message(body(signed))


@pytest.mark.parametrize("name", ["Token", "SubscribeURL"])
def test_a_confirmation_needs_more(name):
    signed = Signer().confirmation()
    del signed[name]
    with pytest.raises(MalformedError):
        read_message(body(signed))


@pytest.mark.parametrize("name", [n for n in REQUIRED if n != "Message"])
@pytest.mark.parametrize("value", ["", "a\nb", "a\rb", "\x00", "\u202e", "x" * (LONGEST_LINE + 1)])
def test_members_of_one_line_are_one_line(name, value):
    with pytest.raises(MalformedError):
        read_message(body(Signer().notification("hello") | {name: value}))


@pytest.mark.parametrize("subject", ["a\nTimestamp\nb", "x" * (LONGEST_LINE + 1), 7, "\ud800"])
def test_a_subject_is_one_line_too(subject):
    with pytest.raises(MalformedError):
        read_message(body(Signer().notification("hello") | {"Subject": subject}))


def test_one_signed_text_cannot_be_read_as_another_message():
    """Without the rule of one line, the subject could be moved into the MessageId."""
    signed = Signer().notification("hello", MessageId="m-1", Subject="s")
    moved = signed | {"MessageId": "m-1\nSubject\ns"}
    del moved["Subject"]
    with pytest.raises(MalformedError):
        read_message(body(moved))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello",
        b"[]",
        b'"text"',
        b"null",
        b'{"Type":',
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"Type": ' + b"9" * 10_000 + b"}",
        json.dumps({"Type": "Notification", "Message": "\ud800"}).encode(),
    ],
)
def test_what_is_no_message_is_malformed(raw):
    with pytest.raises(MalformedError):
        read_message(raw)


@pytest.mark.parametrize("text", ["not base64!", "AAA", "ÄÖÜ", "AAAA AAAA"])
def test_a_signature_must_be_base64(text):
    with pytest.raises(MalformedError):
        read_message(body(Signer().notification("hello") | {"Signature": text}))


def test_an_unknown_type_is_malformed():
    with pytest.raises(MalformedError, match="Type"):
        read_message(body(Signer().notification("hello") | {"Type": "Notice"}))
