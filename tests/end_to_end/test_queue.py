"""Mail that is announced by a queue, with the webhook or without one; and what the webhook lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from postamt_sync.demo.cloud import ACCOUNT, RECENT_PREFIX, REGION, Cloud
from postamt_sync.demo.ses import Received, Ses
from postamt_sync.mail.arrival import Source, mail_id
from tests.doubles.emulator import LoadedEmulator
from tests.doubles.sqs_gate import SqsGate, gate_before
from tests.end_to_end.home import ANNA, BRUNO, Home, Running, wait_until
from tests.support.ports import reserved_port

MESSAGE = b"From: c@sender.example\r\nTo: anna@example.com\r\nSubject: tea\r\n\r\nThursday?\r\n"
QUEUE = """
[queue]
url = "{url}"
long_poll = {long_poll}
topic_arn = "{topic}"
"""
DEAD_LETTERS = """
[webhook]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}/sns"
topic_arn = "{topic}"

[queue]
dead_letter_url = "{url}"
"""


class Way:
    """SES on one side, a home on the other, and queues between them."""

    def __init__(self, cloud: Cloud, gate: SqsGate, home: Home) -> None:
        self.cloud = cloud
        self.gate = gate
        self.home = home
        self.ses = Ses(cloud, seed=1)

    def make_queue(self, name: str) -> str:
        url = self.cloud.sqs_client.create_queue(QueueName=name)["QueueUrl"]
        return str(url)

    def subscribed_queue(self) -> str:
        url = self.make_queue("arrivals")
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:arrivals"
        topic = self.cloud.topic_arn
        self.cloud.sns_client.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        return url

    def left(self, url: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        asked = self.cloud.sqs_client.get_queue_attributes(QueueUrl=url, AttributeNames=names)  # type: ignore[arg-type]
        return sum(int(asked["Attributes"][name]) for name in names)  # type: ignore[index]

    async def receive(self, *recipients: str, lose_webhook: bool = False) -> Received:
        return await self.ses.receive(
            MESSAGE, "c@sender.example", recipients, lose_webhook=lose_webhook
        )

    async def arrived(self, daemon: Running, mail: Received, *mailboxes: str) -> None:
        wanted = Counter((name, mail.content) for name in mailboxes)
        await asyncio.to_thread(daemon.wait, lambda: wanted <= self.home.contents(), "a mail")

    async def emptied(self, daemon: Running, url: str) -> None:
        await asyncio.to_thread(daemon.wait, lambda: self.left(url) == 0, "an empty queue")

    def sources(self, daemon: Running, mail: Received) -> set[str]:
        """Return by which way a mail first became known."""
        found = mail_id(self.cloud.bucket, mail.key)
        return {line["source"] for line in daemon.events("announced") if line["mail"] == found}

    def once_each(self, *copies: tuple[str, Received]) -> None:
        wanted = Counter((mailbox, mail.content) for mailbox, mail in copies)
        found = self.home.contents()
        assert {what: found[what] for what in wanted} == wanted


@asynccontextmanager
async def on_the_way(root: Path, speed: float = 1000) -> AsyncIterator[Way]:
    async with Cloud(speed, emulator=LoadedEmulator()) as cloud, gate_before(cloud.url) as gate:
        await cloud.create()
        environment = {
            **cloud.environment({}),
            "AWS_ENDPOINT_URL_SQS": gate.url,
            "POSTAMT_SYNC_BUCKET__NAME": cloud.bucket,
            "POSTAMT_SYNC_BUCKET__RECENT_PREFIX": RECENT_PREFIX,
        }
        home = Home(root, environment)
        try:
            yield Way(cloud, gate, home)
        finally:
            await asyncio.to_thread(home.close)


async def started(way: Way) -> Running:
    """Start the daemon, and wait until it has been through the bucket."""
    daemon = way.home.start()
    await asyncio.to_thread(daemon.until, "looked", source="reconcile")
    return daemon


async def test_without_an_open_port_mail_comes_at_once_by_the_queue(tmp_path: Path) -> None:
    async with on_the_way(tmp_path) as way:
        url = await asyncio.to_thread(way.subscribed_queue)
        way.home.configure(QUEUE.format(url=url, topic=way.cloud.topic_arn, long_poll="true"))
        daemon = await started(way)
        plain = await way.receive(ANNA)
        blind = await way.receive(ANNA, BRUNO)
        await way.arrived(daemon, plain, "anna")
        await way.arrived(daemon, blind, "anna", "bruno")
        assert way.sources(daemon, plain) == way.sources(daemon, blind) == {Source.QUEUE}
        await way.emptied(daemon, url)
        assert await asyncio.to_thread(daemon.stop) == 0
        way.once_each(("anna", plain), ("anna", blind), ("bruno", blind))
        (queue,) = [s for s in way.home.status()["sources"] if s["name"] == "queue"]
        assert queue["problem"] is None
        assert queue["last_ok"]


@pytest.mark.parametrize("long_poll", ["true", "false"])
async def test_a_single_pass_empties_the_queue_for_the_envelope(
    tmp_path: Path, long_poll: str
) -> None:
    async with on_the_way(tmp_path) as way:
        url = await asyncio.to_thread(way.subscribed_queue)
        way.home.configure(QUEUE.format(url=url, topic=way.cloud.topic_arn, long_poll=long_poll))
        blind = await way.receive(ANNA, BRUNO)
        await way.cloud.sns.settled()
        rehearsal, _ = await asyncio.to_thread(way.home.sync, "--dry-run")
        code, said = await asyncio.to_thread(way.home.sync)
        assert (rehearsal, code) == (0, 0), said
        way.once_each(("anna", blind), ("bruno", blind))


async def test_a_pass_that_adopts_leaves_the_queue_alone(tmp_path: Path) -> None:
    async with on_the_way(tmp_path) as way:
        url = await asyncio.to_thread(way.subscribed_queue)
        way.home.configure(QUEUE.format(url=url, topic=way.cloud.topic_arn, long_poll="false"))
        await way.receive(ANNA)
        await way.cloud.sns.settled()
        code, said = await asyncio.to_thread(way.home.sync, "--mark-delivered")
        assert code == 0, said
        assert not way.home.contents()


async def test_a_poll_drains_the_queue_for_the_envelope(tmp_path: Path) -> None:
    async with on_the_way(tmp_path) as way:
        url = await asyncio.to_thread(way.subscribed_queue)
        way.home.configure(QUEUE.format(url=url, topic=way.cloud.topic_arn, long_poll="false"))
        blind = await way.receive(ANNA, BRUNO)
        daemon = await started(way)
        await way.arrived(daemon, blind, "anna", "bruno")
        another = await way.receive(BRUNO, ANNA)
        await asyncio.to_thread(daemon.wait, lambda: way.left(url) >= 2, "announcements")
        daemon.signal(signal.SIGHUP)
        await way.arrived(daemon, another, "anna", "bruno")
        await way.emptied(daemon, url)
        assert way.sources(daemon, another) == {Source.QUEUE}, "drained before it looks"
        assert await asyncio.to_thread(daemon.stop) == 0
        way.once_each(("anna", blind), ("bruno", blind), ("anna", another), ("bruno", another))


async def test_killed_between_the_ledgers_commit_and_the_deletion(tmp_path: Path) -> None:
    async with on_the_way(tmp_path) as way:
        url = await asyncio.to_thread(way.subscribed_queue)
        way.home.configure(QUEUE.format(url=url, topic=way.cloud.topic_arn, long_poll="true"))
        way.gate.visibility = 1  # else the next daemon would wait for two minutes, as at AWS
        daemon = await started(way)

        async def kill_at_deletion(operation: str) -> bool:
            if operation == "DeleteMessageBatch" and daemon.process.poll() is None:
                os.kill(daemon.pid, signal.SIGKILL)
                return True
            return False

        way.gate.stop = kill_at_deletion
        blind = await way.receive(ANNA, BRUNO)
        assert await asyncio.to_thread(daemon.ended) == -signal.SIGKILL
        way.gate.stop = None
        assert await asyncio.to_thread(way.left, url) > 0
        again = await started(way)
        await way.arrived(again, blind, "anna", "bruno")
        await way.emptied(again, url)
        assert await asyncio.to_thread(again.stop) == 0
        way.once_each(("anna", blind), ("bruno", blind))
        assert len(list(way.home.mails())) == 2


def alerts(home: Home) -> list[EmailMessage]:
    """Return the mails of the daemon's own."""
    mails = [message_from_bytes(path.read_bytes(), policy=default) for _, path in home.mails()]
    return [mail for mail in mails if str(mail["From"]).startswith("postamt-sync ")]


async def test_what_the_webhook_lost_comes_by_the_dead_letters_and_one_mail_says_so(
    tmp_path: Path,
) -> None:
    async with on_the_way(tmp_path) as way:
        url = await asyncio.to_thread(way.make_queue, "dead")
        port, topic = reserved_port(), way.cloud.topic_arn
        way.home.configure(DEAD_LETTERS.format(port=port, topic=topic, url=url))
        daemon = await started(way)
        await asyncio.to_thread(daemon.until, "subscription confirmed")
        assert await asyncio.to_thread(daemon.stop) == 0
        blind = await way.receive(ANNA, BRUNO)
        await way.cloud.sns.settled()
        await asyncio.to_thread(wait_until, lambda: way.left(url) >= 2)
        again = await started(way)
        await way.arrived(again, blind, "anna", "bruno")
        await way.emptied(again, url)
        assert way.sources(again, blind) == {Source.DEAD_LETTER}
        await asyncio.to_thread(again.until, "told the person", cause="dead_letters")
        again.kill()
        once_more = await started(way)
        once_more.signal(signal.SIGHUP)
        assert await asyncio.to_thread(once_more.stop) == 0
        way.once_each(("anna", blind), ("bruno", blind))
        (alert,) = alerts(way.home)
        assert alert["Subject"] == "postamt-sync: 2 webhook deliveries failed"
        (shown, _) = [a for a in way.home.status()["alerts"] if a["cause"] == "dead_letters"]
        assert shown["told"] is True
        assert way.home.status()["mailboxes"][0]["delivered"] == 1, "an alert is no mail that came"


async def test_a_bounce_that_ses_sends_to_the_topic_is_told(tmp_path: Path) -> None:
    bounce = {
        "notificationType": "Bounce",
        "bounce": {
            "bounceType": "Permanent",
            "feedbackId": "0100-1",
            "bouncedRecipients": [{"emailAddress": "nobody@sender.example"}],
            "timestamp": "2026-11-02T10:11:12.000Z",
        },
        "mail": {"messageId": "0100-2"},
    }
    async with on_the_way(tmp_path) as way:
        url = await asyncio.to_thread(way.subscribed_queue)
        way.home.configure(QUEUE.format(url=url, topic=way.cloud.topic_arn, long_poll="false"))
        for _ in range(2):
            way.cloud.sns.publish(way.cloud.topic_arn, json.dumps(bounce))
        await way.cloud.sns.settled()
        daemon = await started(way)
        await way.emptied(daemon, url)
        assert await asyncio.to_thread(daemon.stop) == 0
        again = way.home.start()
        await asyncio.to_thread(again.until, "started")  # before it a signal ends it without a word
        # The first may have got that far before it stopped.
        await asyncio.to_thread(
            again.wait,
            lambda: any(run.events("told the person") for run in (daemon, again)),
            "told the person",
        )
        assert await asyncio.to_thread(again.stop) == 0
        (alert,) = alerts(way.home)
        assert alert["Subject"] == "postamt-sync: 1 mail that you sent came back"
        assert "nobody@sender.example" in alert.get_content()
