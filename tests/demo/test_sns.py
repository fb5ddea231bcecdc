import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

import aiohttp
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from postamt_sync.demo.sns import SmallSns
from tests.doubles.endpoint import Endpoint

TOPIC = "arn:aws:sns:eu-west-1:123456789012:mail"
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/eu-west-1/sns/aws4_request"}
HASTE = 1e6
"""Pauses of seconds become microseconds."""


@dataclass
class Answer:
    status: int
    text: str

    def first(self, name: str) -> str | None:
        for node in ET.fromstring(self.text).iter():
            if node.tag.rpartition("}")[2] == name:
                return node.text
        return None

    def attributes(self) -> dict[str, str]:
        found = {}
        for entry in ET.fromstring(self.text).iter():
            if entry.tag.endswith("}entry"):
                found[entry[0].text or ""] = entry[1].text or ""
        return found


class Caller:
    """Speaks SNS's query protocol without boto3, so that unsigned calls can be made."""

    def __init__(self, sns: SmallSns, session: aiohttp.ClientSession) -> None:
        self.sns = sns
        self.session = session

    async def __call__(
        self, action: str, *, signed: bool = True, attributes: Mapping[str, str] = {}, **form: str
    ) -> Answer:
        data = {"Action": action, "Version": "2010-03-31", **form}
        for number, (key, value) in enumerate(attributes.items(), 1):
            data[f"Attributes.entry.{number}.key"] = key
            data[f"Attributes.entry.{number}.value"] = value
        headers = SIGNED if signed else {}
        async with self.session.post(self.sns.url, data=data, headers=headers) as response:
            return Answer(response.status, await response.text())

    async def get(self, url: str) -> Answer:
        async with self.session.get(url) as response:
            return Answer(response.status, await response.text())

    async def subscribe(self, endpoint: Endpoint, **attributes: str) -> str:
        """Subscribe without confirming; returns the ARN."""
        answer = await self(
            "Subscribe",
            TopicArn=TOPIC,
            Protocol="http",
            Endpoint=endpoint.url,
            ReturnSubscriptionArn="true",
            attributes=attributes,
        )
        assert answer.status == 200, answer.text
        await self.sns.settled()
        return answer.first("SubscriptionArn") or ""

    async def listen(self, endpoint: Endpoint, **attributes: str) -> str:
        """Subscribe and confirm."""
        arn = await self.subscribe(endpoint, **attributes)
        token = endpoint.posts[-1].json["Token"]
        answer = await self("ConfirmSubscription", TopicArn=TOPIC, Token=token)
        assert answer.first("SubscriptionArn") == arn
        return arn


@pytest.fixture
async def sns() -> AsyncIterator[SmallSns]:
    async with SmallSns(None, speed=HASTE) as sns:
        yield sns


@pytest.fixture
async def call(sns: SmallSns) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(sns, session)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with Endpoint() as endpoint:
        yield endpoint


def text_to_sign(message: Mapping[str, Any]) -> bytes:
    if message["Type"] == "Notification":
        names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    else:
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = ""
    for name in names:
        if name in message:
            text += name + "\n" + message[name] + "\n"
    return text.encode()


async def check_signature(call: Caller, message: Mapping[str, Any], text: bytes) -> None:
    served = await call.get(message["SigningCertURL"])
    certificate = x509.load_pem_x509_certificate(served.text.encode())
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    algorithm = {"1": hashes.SHA1(), "2": hashes.SHA256()}[message["SignatureVersion"]]
    signature = base64.b64decode(message["Signature"])
    key.verify(signature, text, padding.PKCS1v15(), algorithm)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [None, "Amazon S3 Notification"])
async def test_a_notification_is_signed_as_sns_signs_it(
    sns: SmallSns, call: Caller, endpoint: Endpoint, version: str, subject: str | None
) -> None:
    sns.set_signature_version(TOPIC, version)
    await call.listen(endpoint)
    sns.publish(TOPIC, "a\nmessage, ä", subject)
    await sns.settled()
    [notification] = endpoint.notifications()
    assert notification["SignatureVersion"] == version
    assert ("Subject" in notification) == (subject is not None)
    await check_signature(call, notification, text_to_sign(notification))
    with pytest.raises(InvalidSignature):
        await check_signature(call, notification, text_to_sign(notification).removesuffix(b"\n"))


async def test_version_1_is_the_default(sns: SmallSns, call: Caller, endpoint: Endpoint) -> None:
    await call.listen(endpoint)
    sns.publish(TOPIC, "m")
    await sns.settled()
    assert endpoint.notifications()[0]["SignatureVersion"] == "1"


async def test_the_certificate_is_one_leaf_for_servers(sns: SmallSns, call: Caller) -> None:
    served = await call.get(sns.url + sns.signer.path)
    [certificate] = x509.load_pem_x509_certificates(served.text.encode())
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert x509.oid.ExtendedKeyUsageOID.SERVER_AUTH in usage
    assert sns.signer.path.startswith("/SimpleNotificationService-")
    assert (await call.get(sns.url + "/SimpleNotificationService-0.pem")).status == 400


async def test_a_subscription_waits_for_its_confirmation(
    sns: SmallSns, call: Caller, endpoint: Endpoint
) -> None:
    arn = await call.subscribe(endpoint)
    [post] = endpoint.posts
    assert post.kind == "SubscriptionConfirmation"
    assert "x-amz-sns-subscription-arn" not in post.headers
    await check_signature(call, post.json, text_to_sign(post.json))
    sns.publish(TOPIC, "too early")
    await sns.settled()
    assert len(endpoint.posts) == 1
    shown = await call("GetSubscriptionAttributes", SubscriptionArn=arn)
    assert shown.attributes()["PendingConfirmation"] == "true"

    assert (await call.get(post.json["SubscribeURL"])).first("SubscriptionArn") == arn
    sns.publish(TOPIC, "now")
    await sns.settled()
    assert [n["Message"] for n in endpoint.notifications()] == ["now"]


async def test_the_headers_are_those_of_sns(
    sns: SmallSns, call: Caller, endpoint: Endpoint
) -> None:
    arn = await call.listen(endpoint)
    message_id = sns.publish(TOPIC, "m")
    await sns.settled()
    headers = endpoint.posts[-1].headers
    assert headers["x-amz-sns-message-type"] == "Notification"
    assert headers["x-amz-sns-message-id"] == message_id
    assert headers["x-amz-sns-topic-arn"] == TOPIC
    assert headers["x-amz-sns-subscription-arn"] == arn
    assert headers["Content-Type"] == "text/plain; charset=UTF-8"
    assert headers["User-Agent"] == "Amazon Simple Notification Service Agent"


async def test_without_the_flag_a_pending_arn_is_not_told(call: Caller, endpoint: Endpoint) -> None:
    answer = await call("Subscribe", TopicArn=TOPIC, Protocol="http", Endpoint=endpoint.url)
    assert answer.first("SubscriptionArn") == "pending confirmation"


async def test_subscribing_again_sends_the_confirmation_again(
    sns: SmallSns, call: Caller, endpoint: Endpoint
) -> None:
    first = await call.subscribe(endpoint)
    assert await call.subscribe(endpoint) == first
    old, new = (post.json["Token"] for post in endpoint.posts)
    assert old != new
    assert (await call("ConfirmSubscription", TopicArn=TOPIC, Token=old)).status == 200
    assert await call.subscribe(endpoint) == first
    await sns.settled()
    assert len(endpoint.posts) == 2


async def test_other_attributes_are_refused(call: Caller, endpoint: Endpoint) -> None:
    policy = json.dumps({"healthyRetryPolicy": {"numRetries": 5}})
    arn = await call.listen(endpoint, DeliveryPolicy=policy)
    assert await call.subscribe(endpoint, DeliveryPolicy=policy) == arn
    assert await call.subscribe(endpoint) == arn
    answer = await call(
        "Subscribe",
        TopicArn=TOPIC,
        Protocol="http",
        Endpoint=endpoint.url,
        attributes={"DeliveryPolicy": "{}"},
    )
    assert answer.status == 400
    assert answer.first("Code") == "InvalidParameter"
    assert "already exists with different attributes" in (answer.first("Message") or "")


@pytest.mark.parametrize(
    ("name", "value"),
    [("DeliveryPolicy", "{"), ("RedrivePolicy", '{"deadLetterTargetArn":"x"}'), ("Colour", "red")],
)
async def test_bad_attributes_are_refused(
    call: Caller, endpoint: Endpoint, name: str, value: str
) -> None:
    arn = await call.listen(endpoint)
    answer = await call(
        "SetSubscriptionAttributes", SubscriptionArn=arn, AttributeName=name, AttributeValue=value
    )
    assert answer.first("Code") == "InvalidParameter"


async def test_attributes_can_be_set_and_taken_away(call: Caller, endpoint: Endpoint) -> None:
    arn = await call.listen(endpoint)
    policy = '{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123456789012:dead"}'
    for value, shown in ((policy, policy), ("", None)):
        answer = await call(
            "SetSubscriptionAttributes",
            SubscriptionArn=arn,
            AttributeName="RedrivePolicy",
            AttributeValue=value,
        )
        assert answer.status == 200
        attributes = (await call("GetSubscriptionAttributes", SubscriptionArn=arn)).attributes()
        assert attributes.get("RedrivePolicy") == shown


@pytest.mark.parametrize("endpoint_url", ["https://x.example/", "ftp://x", "127.0.0.1"])
async def test_the_endpoint_must_fit_the_protocol(call: Caller, endpoint_url: str) -> None:
    answer = await call("Subscribe", TopicArn=TOPIC, Protocol="http", Endpoint=endpoint_url)
    assert answer.first("Code") == "InvalidParameter"


async def test_a_wrong_token_confirms_nothing(call: Caller, endpoint: Endpoint) -> None:
    arn = await call.subscribe(endpoint)
    answer = await call("ConfirmSubscription", TopicArn=TOPIC, Token="0" * 256)
    assert answer.first("Code") == "InvalidParameter"
    other = TOPIC + "2"
    token = endpoint.posts[-1].json["Token"]
    assert (await call("ConfirmSubscription", TopicArn=other, Token=token)).status == 400
    shown = await call("GetSubscriptionAttributes", SubscriptionArn=arn)
    assert shown.attributes()["PendingConfirmation"] == "true"


async def test_a_token_ends_after_two_days(sns: SmallSns, call: Caller, endpoint: Endpoint) -> None:
    await call.subscribe(endpoint)
    token = endpoint.posts[-1].json["Token"]
    start = sns.now()
    sns.now = lambda: start + 2 * 86_400 + 1
    assert (await call("ConfirmSubscription", TopicArn=TOPIC, Token=token)).status == 400


async def test_an_owner_can_keep_strangers_from_unsubscribing(
    sns: SmallSns, call: Caller, endpoint: Endpoint
) -> None:
    arn = await call.subscribe(endpoint)
    confirm = {"TopicArn": TOPIC, "Token": endpoint.posts[-1].json["Token"]}
    confirm["AuthenticateOnUnsubscribe"] = "true"
    assert (await call("ConfirmSubscription", signed=False, **confirm)).status == 403
    assert (await call("ConfirmSubscription", **confirm)).status == 200
    sns.publish(TOPIC, "m")
    await sns.settled()
    assert (await call.get(endpoint.notifications()[0]["UnsubscribeURL"])).status == 403
    assert (await call("Unsubscribe", SubscriptionArn=arn)).status == 200
    assert (await call("GetSubscriptionAttributes", SubscriptionArn=arn)).status == 404


async def test_a_stranger_unsubscribes_an_open_subscription_and_it_can_be_restored(
    sns: SmallSns, call: Caller, endpoint: Endpoint
) -> None:
    arn = await call.listen(endpoint)
    sns.publish(TOPIC, "m")
    await sns.settled()
    assert (await call.get(endpoint.notifications()[0]["UnsubscribeURL"])).status == 200
    await sns.settled()
    assert arn not in sns.subscriptions
    farewell = endpoint.posts[-1]
    assert farewell.kind == "UnsubscribeConfirmation"
    await check_signature(call, farewell.json, text_to_sign(farewell.json))
    assert (await call.get(farewell.json["SubscribeURL"])).first("SubscriptionArn") == arn
    assert arn in sns.subscriptions


@pytest.mark.parametrize("trouble", [500, 503, 429])
async def test_trouble_is_tried_again_with_the_same_bytes(
    sns: SmallSns, call: Caller, endpoint: Endpoint, trouble: int
) -> None:
    await call.listen(endpoint)
    endpoint.answers = [trouble, trouble]
    sns.publish(TOPIC, "m")
    await sns.settled()
    tries = [post for post in endpoint.posts if post.kind == "Notification"]
    assert len(tries) == 3
    assert len({post.text for post in tries}) == 1
    assert len({post.headers["x-amz-sns-message-id"] for post in tries}) == 1


@pytest.mark.parametrize("refusal", [307, 400, 401, 403, 404, 413])
async def test_a_refusal_is_final(
    sns: SmallSns, call: Caller, endpoint: Endpoint, refusal: int
) -> None:
    await call.listen(endpoint)
    endpoint.answers = [refusal]
    sns.publish(TOPIC, "m")
    await sns.settled()
    assert len(endpoint.notifications()) == 1


async def test_it_gives_up_after_the_policy_says_so(
    sns: SmallSns, call: Caller, endpoint: Endpoint
) -> None:
    policy = {"healthyRetryPolicy": {"numRetries": 5, "minDelayTarget": 1, "maxDelayTarget": 9}}
    await call.listen(endpoint, DeliveryPolicy=json.dumps(policy))
    endpoint.answers = [500] * 20
    sns.publish(TOPIC, "m")
    await sns.settled()
    assert len(endpoint.notifications()) == 6


async def test_silence_is_tried_again(sns: SmallSns, call: Caller, endpoint: Endpoint) -> None:
    await call.listen(endpoint)
    endpoint.silent = True
    sns.answer_within = 0.05
    sns.publish(TOPIC, "m")
    await sns.settled()
    statuses = [a.status for a in sns.attempts if a.kind == "Notification"]
    assert statuses == [None] * 4


async def test_nobody_there_is_tried_again(sns: SmallSns, call: Caller) -> None:
    async with Endpoint() as endpoint:
        await call.listen(endpoint)
    sns.publish(TOPIC, "m")
    await sns.settled()
    assert [a.status for a in sns.attempts if a.kind == "Notification"] == [None] * 4


async def test_lost_notifications_never_come(
    sns: SmallSns, call: Caller, endpoint: Endpoint
) -> None:
    await call.listen(endpoint)
    sns.mishaps.lose("one")
    sns.mishaps.lose("two", "S")
    for message, subject in (("one", None), ("two", "S"), ("two", "T"), ("three", None)):
        sns.publish(TOPIC, message, subject)
    await sns.settled()
    assert sorted(n["Message"] for n in endpoint.notifications()) == ["three", "two"]


async def test_repeated_notifications_come_more_than_once(
    sns: SmallSns, call: Caller, endpoint: Endpoint
) -> None:
    await call.listen(endpoint)
    sns.mishaps.repeat("one", 3)
    sns.publish(TOPIC, "one")
    await sns.settled()
    assert len({n["MessageId"] for n in endpoint.notifications()}) == 1
    assert len(endpoint.notifications()) == 3


async def test_held_notifications_come_later_and_in_disorder(
    sns: SmallSns, call: Caller, endpoint: Endpoint
) -> None:
    await call.listen(endpoint)
    sns.mishaps.hold()
    sent = [str(n) for n in range(20)]
    for message in sent:
        sns.publish(TOPIC, message)
    await asyncio.sleep(0)
    assert endpoint.notifications() == []
    sns.mishaps.release(shuffle=1)
    await sns.settled()
    came = [n["Message"] for n in endpoint.notifications()]
    assert sorted(came) == sorted(sent)
    assert came != sent


async def test_the_api_and_the_certificate_can_be_down(sns: SmallSns, call: Caller) -> None:
    sns.mishaps.api_down = sns.mishaps.certificate_down = True
    assert (await call("Subscribe", TopicArn=TOPIC, Protocol="http")).status == 503
    assert (await call.get(sns.url + sns.signer.path)).status == 503


async def test_raw_delivery_has_no_envelope(
    sns: SmallSns, call: Caller, endpoint: Endpoint
) -> None:
    await call.listen(endpoint, RawMessageDelivery="true")
    sns.publish(TOPIC, "bare")
    await sns.settled()
    assert endpoint.posts[-1].text == "bare"
    assert endpoint.posts[-1].headers["x-amz-sns-rawdelivery"] == "true"
