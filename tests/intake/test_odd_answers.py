"""Every call to AWS, every shape of an answer: trouble for now at the worst, and gone with it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import boto3
import pytest

from postamt_sync.alerts.ses_metrics import SesMetrics
from postamt_sync.aws.clients import (
    cloudwatch_client,
    dynamodb_client,
    kms_client,
    new_session,
    s3_client,
    sns_client,
    sqs_client,
)
from postamt_sync.aws.errors import aws_call
from postamt_sync.bucket.data_keys import DataKeys
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.index.client import Index
from postamt_sync.intake.sns import Sns
from postamt_sync.intake.sqs import QueueMessage, Sqs
from postamt_sync.intake.subscription import Subscription, SubscriptionState
from postamt_sync.mail.client_encryption import ClientEncryption
from tests.doubles.inbox import MemoryLog
from tests.doubles.odd_aws import DATA_KEY, JSON, SHAPES, SUBSCRIPTION, OddAws, Shape, odd_aws
from tests.support.campaign import spread

REGION = "eu-west-1"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:postamt"
MESSAGE = QueueMessage("body", "handle")
AT_ONCE = {name: shape for name, shape in SHAPES.items() if not shape.drip}
"""Those that end: what drips is broken off after a time (`aws/bounded_session.py`)."""


@pytest.fixture(scope="module")
def server() -> Iterator[OddAws]:
    with odd_aws() as aws:
        yield aws


@pytest.fixture
def aws(server: OddAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[OddAws]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    yield server
    server.heal()


def queue(session: boto3.Session, aws: OddAws) -> Sqs:
    return Sqs(sqs_client(session, REGION), f"{aws.url}/123456789012/arrivals")


async def confirm(session: boto3.Session, _aws: OddAws) -> None:
    subscription = Subscription(
        sns_client(session, REGION),
        Events(MemoryLog()),
        topic_arn=TOPIC,
        url="https://home.example.com/sns",
    )
    try:
        await subscription.confirm("token")
        assert subscription.status.state is SubscriptionState.CONFIRMED
        assert subscription.status.arn == SUBSCRIPTION
    finally:
        await subscription.close()


async def receive(session: boto3.Session, aws: OddAws) -> None:
    assert await queue(session, aws).receive(1, 60) == []


async def delete(session: boto3.Session, aws: OddAws) -> None:
    assert await queue(session, aws).delete([MESSAGE]) == 0


async def hide(session: boto3.Session, aws: OddAws) -> None:
    await queue(session, aws).hide([(MESSAGE, 60)])


async def read_metrics(session: boto3.Session, _aws: OddAws) -> None:
    assert await SesMetrics(cloudwatch_client(session, REGION)).read(None, 1.8e9) == []


def sns(session: boto3.Session) -> Sns:
    return Sns(sns_client(session, REGION), TOPIC, "https://home.example.com/sns", "")


async def subscribe(session: boto3.Session, _aws: OddAws) -> None:
    assert await sns(session).subscribe() == SUBSCRIPTION


async def read_subscription(session: boto3.Session, _aws: OddAws) -> None:
    assert (await sns(session).attributes(SUBSCRIPTION))["PendingConfirmation"] == "false"


async def look_for_subscription(session: boto3.Session, _aws: OddAws) -> None:
    assert await sns(session).is_there(SUBSCRIPTION)


async def mend_subscription(session: boto3.Session, _aws: OddAws) -> None:
    await sns(session).correct(SUBSCRIPTION, {})


async def ask_the_index(session: boto3.Session, _aws: OddAws) -> None:
    index = Index(dynamodb_client(session, REGION), "index", "in/", sleep=at_once)
    assert await index.envelopes(["in/a"]) == {}


async def open_a_mail(session: boto3.Session, _aws: OddAws) -> None:
    encryption = ClientEncryption(b"wrapped", {}, b"", None)
    assert await DataKeys(kms_client(session, REGION)).key_of(encryption) == DATA_KEY


async def ask_for_a_restore(session: boto3.Session, _aws: OddAws) -> None:
    with aws_call("restore a mail"):
        s3_client(session, REGION).restore_object(
            Bucket="mail", Key="a", RestoreRequest={"Days": 1}
        )


async def at_once(_seconds: float) -> None:
    """Do not wait."""


CALLS: dict[str, tuple[str, Callable[[boto3.Session, OddAws], Coroutine[Any, Any, None]]]] = {
    "ConfirmSubscription": ("sns", confirm),
    "ReceiveMessage": ("sqs", receive),
    "DeleteMessageBatch": ("sqs", delete),
    "ChangeMessageVisibilityBatch": ("sqs", hide),
    "ListMetrics": ("cloudwatch", read_metrics),
    "GetMetricStatistics": ("GetMetricStatistics", read_metrics),
    "Subscribe": ("sns", subscribe),
    "GetSubscriptionAttributes": ("sns", read_subscription),
    "whether GetSubscriptionAttributes finds it": ("sns", look_for_subscription),
    "SetSubscriptionAttributes": ("sns", mend_subscription),
    "BatchGetItem": ("dynamodb", ask_the_index),
    "Decrypt": ("kms", open_a_mail),
    "RestoreObject": ("s3", ask_for_a_restore),
}


SAY_NONE = {
    ("null members", "ReceiveMessage"),  # JSON's way to say it
    ("garbage in the headers", "ReceiveMessage"),  # its body is an empty object, as SQS sends it
    ("garbage in the headers", "ListMetrics"),
    ("garbage in the headers", "GetMetricStatistics"),
    # Nothing is read of these: what was set or begun is looked at again.
    ("nothing", "RestoreObject"),
    ("XML without what was asked", "RestoreObject"),
    ("another XML", "RestoreObject"),
    ("XML without what was asked", "SetSubscriptionAttributes"),
    ("another XML", "SetSubscriptionAttributes"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "call"), spread([(name, call) for name in AT_ONCE for call in CALLS], 3)
)
async def test_an_odd_answer_is_trouble_for_now(aws: OddAws, name: str, call: str) -> None:
    service, act = CALLS[call]
    session = new_session(REGION)
    aws.shapes = {service: SHAPES[name]}
    if (name, call) in SAY_NONE:
        return await act(session, aws)
    with pytest.raises(PostamtError) as told:
        await act(session, aws)
    assert told.value.temporary
    assert told.value.hint
    assert str(told.value).isprintable()
    assert "<" not in str(told.value)
    aws.heal()
    await act(session, aws)
    assert aws.asked[next(word for word in call.split() if word[0].isupper())]
    return None


MESSAGES = [
    b'{"Messages": {}}',
    b'{"Messages": ""}',
    b'{"Messages": 0}',
    b'{"Messages": false}',
    b'{"Messages": [null]}',
    b'{"Messages": ["x"]}',
    b'{"Messages": [{}]}',
    b'{"Messages": [{"ReceiptHandle": "h"}]}',
    b'{"Messages": [{"Body": "x"}]}',
    b'{"Messages": [{"Body": null, "ReceiptHandle": "h"}]}',
    b'{"Messages": [{"Body": 5, "ReceiptHandle": "h"}]}',
    b'{"Messages": [{"Body": "x", "ReceiptHandle": 7}]}',
    b'{"Messages": [{"Body": "x", "ReceiptHandle": "h", "Attributes": [1]}]}',
    b'{"Messages": [{"Body": "x", "ReceiptHandle": "h"}, null]}',
    b'{"Messages": [' + b", ".join([b'{"Body": "x", "ReceiptHandle": "h"}'] * 11) + b"]}",
    b'{"messages": []}',
    b'{"Messages": []} and more',
    b"[]",
    b"",
]


@pytest.mark.parametrize("said", MESSAGES)
async def test_a_queue_that_answers_in_another_shape_is_trouble(aws: OddAws, said: bytes) -> None:
    """It would be asked again and again, or what it holds never deleted."""
    aws.shapes = {"sqs": Shape(body=said, headers=JSON)}
    with pytest.raises(PostamtError) as told:
        await queue(new_session(REGION), aws).receive(1, 60)
    assert told.value.temporary


@pytest.mark.parametrize("said", [b"{}", b'{"Messages": []}', b'{"Messages": null}'])
async def test_a_queue_says_in_three_ways_that_it_is_empty(aws: OddAws, said: bytes) -> None:
    aws.shapes = {"sqs": Shape(body=said, headers=JSON)}
    assert await queue(new_session(REGION), aws).receive(1, 60) == []
