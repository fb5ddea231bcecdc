import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from postamt_sync.demo.cloud import Cloud
from postamt_sync.demo.ses import ALPHABET, Received, Ses
from tests.doubles.emulator import LoadedEmulator
from tests.doubles.endpoint import Endpoint

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGE = (
    b"From: Clara <clara@sender.example>\r\nTo: list@other.example\r\nSubject: Hi\r\n\r\nHi\r\n"
)
SENDER = "bounce+1@sender.example"
BCC = ["anna@example.com", "bruno@example.com"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cloud() -> AsyncIterator[Cloud]:
    """One for all: each test sends mail of its own, and has its own endpoint."""
    async with Cloud(speed=1e6, emulator=LoadedEmulator()) as cloud:
        await cloud.create()
        yield cloud


@pytest_asyncio.fixture(loop_scope="module")
async def webhook(cloud: Cloud) -> AsyncIterator[Endpoint]:
    async with Endpoint() as endpoint:
        await asyncio.to_thread(
            cloud.sns_client.subscribe,
            TopicArn=cloud.topic_arn,
            Protocol="http",
            Endpoint=endpoint.url,
        )
        await endpoint.until(bool)
        token = endpoint.posts[0].json["Token"]
        confirmed = await asyncio.to_thread(
            cloud.sns_client.confirm_subscription, TopicArn=cloud.topic_arn, Token=token
        )
        yield endpoint
        await asyncio.to_thread(
            cloud.sns_client.unsubscribe, SubscriptionArn=confirmed["SubscriptionArn"]
        )


async def stored(cloud: Cloud, key: str) -> bytes:
    answer = await asyncio.to_thread(cloud.s3_client.get_object, Bucket=cloud.bucket, Key=key)
    return await asyncio.to_thread(answer["Body"].read)


def of_subject(endpoint: Endpoint, subject: str) -> list[dict[str, object]]:
    found = [n for n in endpoint.notifications() if n.get("Subject") == subject]
    return [json.loads(notification["Message"]) for notification in found]


async def heard(endpoint: Endpoint, mail: Received, count: int) -> None:
    await endpoint.until(lambda posts: sum(mail.message_id in p.text for p in posts) >= count)


async def test_the_object_is_sess_block_and_then_the_mail_untouched(cloud: Cloud) -> None:
    mail = await Ses(cloud, seed=1).receive(MESSAGE, SENDER, BCC, spam="FAIL")
    assert len(mail.message_id) == 40
    assert set(mail.message_id) <= set(ALPHABET)
    assert mail.key == f"incoming/{mail.message_id}"
    assert mail.content.endswith(b"h=From:To:Cc:Bcc:Subject:Date:Message-ID:MIME-Version:"
                                 b"Content-Type:X-SES-RECEIPT;\r\n" + MESSAGE)  # fmt: skip
    assert await stored(cloud, mail.key) == mail.content
    assert await stored(cloud, f"recent/{mail.message_id}") == mail.content


async def test_the_received_header_has_sess_form(cloud: Cloud) -> None:
    mail = await Ses(cloud).receive(MESSAGE, SENDER, BCC, spam="FAIL", virus="GRAY")
    lines = mail.content.split(b"\r\n")
    assert lines[0] == b"Return-Path: <bounce+1@sender.example>"
    received = b"\n".join(lines[1:5]).decode()
    pattern = (
        r"Received: from \S+ \(\S+ \[192\.0\.2\.10\]\)\n"
        r" by inbound-smtp\.eu-west-1\.amazonaws\.com with SMTP id (\S+)\n"
        r" for anna@example\.com;\n"
        r" \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000 \(UTC\)"
    )
    found = re.fullmatch(pattern, received)
    assert found is not None
    assert found[1] == mail.message_id
    assert lines[5:7] == [b"X-SES-Spam-Verdict: FAIL", b"X-SES-Virus-Verdict: GRAY"]
    names = [line.split(b":")[0] for line in lines[7:14] if not line.startswith(b" ")]
    assert names == [b"Received-SPF", b"Authentication-Results", b"X-SES-RECEIPT",
                     b"X-SES-DKIM-SIGNATURE"]  # fmt: skip


async def test_s3_and_ses_both_announce_it(cloud: Cloud, webhook: Endpoint) -> None:
    mail = await Ses(cloud).receive(MESSAGE, SENDER, BCC, spam="FAIL")
    await heard(webhook, mail, 2)
    [event] = of_subject(webhook, "Amazon S3 Notification")
    assert event["Records"][0]["s3"]["object"]["size"] == len(mail.content)
    [receipt] = of_subject(webhook, "Amazon SES Email Receipt Notification")
    assert receipt["notificationType"] == "Received"
    assert receipt["mail"]["source"] == SENDER
    assert receipt["mail"]["messageId"] == mail.message_id
    assert receipt["mail"]["destination"] == ["list@other.example"]
    assert receipt["mail"]["commonHeaders"]["subject"] == "Hi"
    assert receipt["receipt"]["recipients"] == BCC
    assert receipt["receipt"]["spamVerdict"] == {"status": "FAIL"}
    assert receipt["receipt"]["action"] == {
        "type": "S3",
        "topicArn": cloud.topic_arn,
        "bucketName": cloud.bucket,
        "objectKeyPrefix": "incoming/",
        "objectKey": mail.key,
    }


async def test_the_recent_copy_is_not_announced(cloud: Cloud, webhook: Endpoint) -> None:
    mail = await Ses(cloud).receive(MESSAGE, SENDER, BCC)
    # The receipt is published last, and one queue carries all: what came before it is all.
    await heard(webhook, mail, 2)
    await cloud.sns.settled()
    assert not [post for post in webhook.posts if "recent%2F" in post.text]


async def test_the_webhook_can_be_lost(cloud: Cloud, webhook: Endpoint) -> None:
    ses = Ses(cloud)
    lost = await ses.receive(MESSAGE, SENDER, BCC, lose_webhook=True)
    after = await ses.receive(MESSAGE, SENDER, BCC)
    await heard(webhook, after, 2)
    assert not [post for post in webhook.posts if lost.message_id in post.text]
    assert await stored(cloud, lost.key) == lost.content


async def test_the_receipt_alone_can_be_lost(cloud: Cloud, webhook: Endpoint) -> None:
    ses = Ses(cloud)
    lost = await ses.receive(MESSAGE, SENDER, BCC, lose_receipt=True)
    after = await ses.receive(MESSAGE, SENDER, BCC)
    await heard(webhook, after, 2)
    assert len([post for post in webhook.posts if lost.message_id in post.text]) == 1


async def test_notifications_can_be_repeated(cloud: Cloud, webhook: Endpoint) -> None:
    mail = await Ses(cloud).receive(MESSAGE, SENDER, BCC, times=3)
    await heard(webhook, mail, 6)
    assert len(of_subject(webhook, "Amazon S3 Notification")) == 3


async def test_a_seed_gives_the_same_ids(cloud: Cloud) -> None:
    first = await Ses(cloud, seed=7).receive(MESSAGE, SENDER, BCC)
    again = await Ses(cloud, seed=7).receive(MESSAGE, SENDER, BCC)
    assert first.message_id == again.message_id
