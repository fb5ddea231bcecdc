"""Forgeries: each is one change to a true message, and none gets through."""

from __future__ import annotations

import pytest

from tests.doubles.sns import PEM_PATH, TOPIC, Signer, private_key, receipt
from tests.doubles.webhook import webhook_at_home


@pytest.fixture
async def home():
    async with webhook_at_home() as made:
        yield made


def _other_key(home):
    return Signer(url=home.aws.url, key=private_key(1)).notification(receipt())


def _moved(home, **changed):
    return home.signer().notification(receipt(), Subject="Amazon S3 Notification") | changed


OTHER = "SimpleNotificationService-" + "f" * 32 + ".pem"
AWS = "https://sns.eu-west-1.amazonaws.com"

FORGERIES = {
    "message changed": (403, lambda h: _moved(h, Message=receipt("incoming/other"))),
    "message id changed": (403, lambda h: _moved(h, MessageId="another")),
    "subject changed": (403, lambda h: _moved(h, Subject="Another")),
    "subject taken away": (403, lambda h: _moved(h, Subject=None)),
    "subject added": (403, lambda h: h.signer().notification(receipt()) | {"Subject": "x"}),
    "timestamp changed": (403, lambda h: _moved(h, Timestamp="2026-11-02T10:11:12.346Z")),
    "type changed": (
        403,
        lambda h: _moved(h, Type="UnsubscribeConfirmation", Token="t", SubscribeURL="https://x"),
    ),
    "token changed": (403, lambda h: h.signer().confirmation() | {"Token": "another"}),
    "subscribe URL changed": (
        403,
        lambda h: h.signer().confirmation() | {"SubscribeURL": "https://evil.example/"},
    ),
    "confirmation made an unsubscription": (
        403,
        lambda h: h.signer().confirmation() | {"Type": "UnsubscribeConfirmation"},
    ),
    "topic changed, signature ours": (403, lambda h: _moved(h, TopicArn=TOPIC + "x")),
    "topic foreign, signature true": (
        403,
        lambda h: h.signer().notification(receipt(), TopicArn=TOPIC.replace("1234", "4321")),
    ),
    "topic in capitals": (403, lambda h: h.signer().notification("x", TopicArn=TOPIC.upper())),
    "another key": (403, _other_key),
    "version 1 for 2": (403, lambda h: _moved(h, SignatureVersion="1")),
    "version 3": (403, lambda h: _moved(h, SignatureVersion="3")),
    "signature cut": (403, lambda h: _moved(h, Signature="AAAA")),
    "signature of another message": (
        403,
        lambda h: _moved(h, Signature=h.signer().notification("x")["Signature"]),
    ),
    "certificate elsewhere": (403, lambda h: _moved(h, SigningCertURL="https://evil.example/x")),
    "certificate on S3": (
        403,
        lambda h: _moved(h, SigningCertURL=f"https://s3.amazonaws.com/sns{PEM_PATH}"),
    ),
    "certificate of another region": (
        403,
        lambda h: _moved(h, SigningCertURL=f"https://sns.us-east-1.amazonaws.com{PEM_PATH}"),
    ),
    "certificate without TLS": (
        403,
        lambda h: _moved(h, SigningCertURL=f"http://sns.eu-west-1.amazonaws.com{PEM_PATH}"),
    ),
    "certificate with a port": (403, lambda h: _moved(h, SigningCertURL=f"{AWS}:443{PEM_PATH}")),
    "certificate with a query": (403, lambda h: _moved(h, SigningCertURL=f"{AWS}{PEM_PATH}?x=y")),
    "certificate of another name": (403, lambda h: _moved(h, SigningCertURL=f"{AWS}/x.pem")),
    "certificate behind userinfo": (
        403,
        lambda h: _moved(
            h, SigningCertURL=f"https://sns.eu-west-1.amazonaws.com@evil.example/{OTHER}"
        ),
    ),
    "no signature": (400, lambda h: _moved(h, Signature=None)),
    "signature not base64": (400, lambda h: _moved(h, Signature="!")),
    "message not text": (400, lambda h: _moved(h, Message={"a": 1})),
    "unknown type": (400, lambda h: _moved(h, Type="Notice")),
    "newline in the topic": (400, lambda h: _moved(h, TopicArn=TOPIC + "\n")),
    "newline in the message id": (400, lambda h: _moved(h, MessageId="a\nSubject\nb")),
    "not an object": (400, lambda h: b"[1, 2]"),
    "not JSON": (400, lambda h: b"{'Type': 'Notification'}"),
    "not UTF-8": (400, lambda h: b'{"Type": "\xff"}'),
    "empty": (400, lambda h: b""),
    "raw receipt": (400, lambda h: receipt().encode()),
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_forgeries_are_refused_and_leave_nothing(home, name):
    status, forge = FORGERIES[name]
    answer, reason = await home.post(forge(home))
    assert answer == status
    assert home.inbox.empty
    assert home.subscriber.tokens == []
    assert home.subscriber.ended == 0
    assert home.webhook.tally.taken == {}
    assert home.webhook.tally.refused == {(status, reason): 1}
    assert home.log.events() == ["notice refused"]
    if "topic" in name or "certificate" in name:
        assert home.aws.asked == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-amz-sns-topic-arn": TOPIC + "x"}, 403),
        ({"x-amz-sns-message-type": "SubscriptionConfirmation"}, 400),
        ({"x-amz-sns-rawdelivery": "true"}, 403),
        ({"Content-Encoding": "gzip"}, 400),
        ({"Content-Encoding": "br"}, 400),
    ],
)
async def test_headers_that_do_not_fit_the_body_are_refused(home, headers, status):
    answer, _ = await home.post(home.signer().notification(receipt()), headers)
    assert answer == status
    assert home.inbox.empty
    assert home.aws.asked == []
