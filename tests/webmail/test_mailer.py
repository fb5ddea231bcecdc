"""SES asked once: what its answers and its silence mean; judged by botocore's own validators."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.stub import Stubber

from postamt_sync.mail.sent_mail import sent_key
from postamt_sync.webmail.day_place import S3DayPlace
from postamt_sync.webmail.mail_store import MailGoneError, S3MailStore
from postamt_sync.webmail.mailer import PerhapsSentError, SesMailer, SurelyNotSentError
from postamt_sync.webmail.sent_store import S3SentStore, outbox_key
from tests.doubles.moto import Moto
from tests.support.aws_session import aws_session

RAW = b"From: a@b.example\r\n\r\nx"
PEOPLE = ["c@d.example", "e@f.example"]


@pytest.fixture(scope="module")
def client() -> Any:
    return aws_session().client("sesv2")


def send(client: Any, region: str = "eu-west-1") -> str:
    return SesMailer(client, region).send("a@b.example", PEOPLE, RAW)


@pytest.mark.parametrize(
    ("region", "host"),
    [("eu-west-1", "eu-west-1.amazonses.com"), ("us-east-1", "email.amazonses.com")],
)
def test_the_message_id_is_the_one_that_ses_writes(client: Any, region: str, host: str) -> None:
    with Stubber(client) as stub:
        wanted = {
            "FromEmailAddress": "a@b.example",
            "Destination": {"BccAddresses": PEOPLE},
            "Content": {"Raw": {"Data": RAW}},
        }
        stub.add_response("send_email", {"MessageId": "0102-3"}, wanted)
        assert send(client, region) == f"<0102-3@{host}>"


@pytest.mark.parametrize(
    "code", ["MessageRejected", "AccountSuspendedException", "TooManyRequestsException", "Other"]
)
def test_a_refusal_is_told_in_words(client: Any, code: str) -> None:
    with Stubber(client) as stub:
        stub.add_client_error("send_email", code, "Not\nverified.", http_status_code=400)
        with pytest.raises(SurelyNotSentError) as caught:
            send(client)
    assert caught.value.problem.endswith(r"Not\nverified.")


@pytest.mark.parametrize("status", [500, 502, 503, 302])
def test_what_ses_did_not_decide_is_perhaps_sent(client: Any, status: int) -> None:
    with Stubber(client) as stub:
        stub.add_client_error("send_email", "InternalFailure", http_status_code=status)
        with pytest.raises(PerhapsSentError):
            send(client)


class Failing:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def send_email(self, **_: Any) -> Any:
        raise self._error


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (EndpointConnectionError(endpoint_url="x"), SurelyNotSentError),
        (ConnectTimeoutError(endpoint_url="x"), SurelyNotSentError),
        (NoCredentialsError(), SurelyNotSentError),
        (ReadTimeoutError(endpoint_url="x"), PerhapsSentError),
        (ConnectionClosedError(endpoint_url="x"), PerhapsSentError),
        (KeyError("MessageId"), PerhapsSentError),
        (ValueError("no JSON"), PerhapsSentError),
    ],
)
def test_a_lost_answer_is_no_refusal(error: Exception, meaning: type[Exception]) -> None:
    with pytest.raises(meaning):
        send(Failing(error))


class TestBucket:
    @pytest.fixture
    def bucket(self, emulator: Moto) -> str:
        name = f"mail-{uuid.uuid4().hex}"
        emulator.make_bucket(name)
        return name

    def test_mail_is_read_and_what_is_gone_is_told(self, emulator: Moto, bucket: str) -> None:
        client = emulator.client("s3")
        store = S3MailStore(client, bucket)
        for key, raw in (("incoming/a b", b"12345"), ("incoming/empty", b"")):
            client.put_object(Bucket=bucket, Key=key, Body=raw)
            assert store.read(key) == raw
            assert store.head(key, 2) == raw[:2]
        with pytest.raises(MailGoneError):
            store.read("incoming/none")
        address = store.presigned("incoming/a b", "mail.eml")
        assert "X-Amz-Signature" in address or "Signature=" in address

    def test_a_sent_mail_is_written_once(self, emulator: Moto, bucket: str) -> None:
        store = S3SentStore(emulator.client("s3"), bucket)
        key = sent_key("a/b", "2026-11", "draft")
        assert key == "sent/a%2Fb/2026-11/draft"
        assert outbox_key("../x", "draft") == "outbox/..%2Fx/draft"
        store.put_once(key, b"one")
        store.put_once(key, b"two")
        assert S3MailStore(emulator.client("s3"), bucket).read(key) == b"one"
        store.put(key, b"three")
        assert S3MailStore(emulator.client("s3"), bucket).read(key) == b"three"

    def test_the_day_s_place_gives_an_address(self, emulator: Moto, bucket: str) -> None:
        place = S3DayPlace(emulator.client("s3"), bucket, "day/")
        address = place.keep(b"content", "Rechnung März.pdf")
        assert address.startswith(place.origin)
        assert "response-content-disposition=attachment" in address
        assert "filename%2A%3DUTF-8%27%27Rechnung%2520M%25C3%25A4rz.pdf" in address
        shown = place.keep(b"image", "image", "image/png")
        assert "response-content-type=image%2Fpng" in shown
        listed = emulator.client("s3").list_objects_v2(Bucket=bucket, Prefix="day/")
        assert listed["KeyCount"] == 2
