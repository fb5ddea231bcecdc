"""All sources at once: each mail in exactly the mailboxes of its envelope, once in each.

Real signatures, a real ledger, a real courier and real Maildirs; SNS and SQS in memory. What is
published is repeated, reordered, delayed, refused, buried as a dead letter or lost, the ledger's
disk fails, and the process dies between the ledger's commit and the deletion from the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import random
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from postamt_sync.demo.ses import ses_header
from postamt_sync.errors import PostamtError, TryLaterError
from postamt_sync.events import Events
from postamt_sync.intake.notifications import Notifications, OurTopic
from postamt_sync.intake.queue import QueueConsumer
from postamt_sync.intake.queues import NullSubscriber
from postamt_sync.intake.sns_message import read_message
from postamt_sync.intake.sqs import Sqs
from postamt_sync.ledger.arrival_queue import ArrivalQueue
from postamt_sync.mail.arrival import Arrival, Source
from tests.delivery.home import Home
from tests.doubles.inbox import OneKey
from tests.doubles.sns import TOPIC, Signer, body, private_key, receipt, s3_event
from tests.doubles.sqs import Held, MemorySqs, refused
from tests.support.campaign import examples

pytestmark = pytest.mark.slow

PEOPLE = ("anna", "bruno", "carla")
PREFIX = "incoming/"
URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/postamt"
DEAD = f"{URL}-dead"
QUEUES = {URL: Source.QUEUE, DEAD: Source.DEAD_LETTER}
MOST_MAILS = 6
SENT = dt.datetime(2026, 11, 2, 10, 11, 12, tzinfo=dt.UTC)

people = st.lists(st.sampled_from(PEOPLE), min_size=1, unique=True)
chance = st.integers(0, 2**32)


class Sources(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="sources"))
        self.home = Home(self.base, PEOPLE, grace=900.0)
        self.now = 1000.0
        self.sqs = MemorySqs(lambda: self.now)
        self.envelopes: dict[str, set[str]] = {}
        self.named: dict[str, str] = {}
        """Whom the mail itself names, "" where it does not."""
        self.told: set[str] = set()
        """Keys whose receipt has reached us, or lies where it still will."""
        self.underway: list[bytes] = []
        """What SNS has yet to hand over to the webhook."""
        self.ledger_trouble = False

    def teardown(self) -> None:
        try:
            self.all_is_well()
        finally:
            self.home.close()
            shutil.rmtree(self.base)

    @initialize(
        mails=st.lists(st.tuples(people, st.booleans()), min_size=2, max_size=3), data=st.data()
    )
    def begin(self, mails: list[tuple[list[str], bool]], data: st.DataObject) -> None:
        """There is mail at once, and perhaps the poll was quicker than all announcements."""
        for who, named in mails:
            self.mail_comes(who, named, data.draw(st.booleans()), data.draw(st.booleans()), 1)
        if data.draw(st.booleans()):
            self.poll(twins=data.draw(st.booleans()))
            self.deliver()

    # SES, S3 and SNS

    @precondition(lambda self: len(self.envelopes) < MOST_MAILS)
    @rule(
        who=people,
        named=st.booleans(),
        queue=st.booleans(),
        webhook=st.booleans(),
        times=st.integers(1, 3),
    )
    def mail_comes(
        self, who: list[str], named: bool, queue: bool, webhook: bool, times: int
    ) -> None:
        """Store a mail and publish it; what a channel is not to get is lost there.

        `named`: SES's own Received line names the first of them.
        """
        key = f"{PREFIX}{len(self.envelopes):040}"
        addresses = [f"{name}@home.example" for name in who]
        block = ses_header(
            key.removeprefix(PREFIX), "c@sender.example", addresses[0], SENT, spam="PASS", virus=""
        )
        text = f"S: {key}\r\n\r\n".encode()
        stored = self.home.bucket.put(key, (block if named else b"") + text, time.time())
        self.envelopes[key] = set(who)
        self.named[key] = who[0] if named else ""
        event = json.loads(s3_event(key, bucket="mail"))
        event["Records"][0]["s3"]["object"] |= {"eTag": stored.etag, "size": stored.size}
        published = [("", json.dumps(event)), (key, receipt(key, "mail", *addresses))]
        for name, text in published * times:
            message = body(Signer().notification(text))
            if queue:
                self.sqs.send_message(QueueUrl=URL, MessageBody=message.decode())
            if webhook:
                self.underway.append(message)
            if name and (queue or webhook):
                self.told.add(name)

    @precondition(lambda self: self.underway)
    @rule(seed=chance, fate=st.sampled_from(["post", "post", "bury"]))
    def sns_acts(self, seed: int, fate: str) -> None:
        """Post one message, whichever, to the webhook; refused or given up it is a dead letter."""
        message = self.underway.pop(seed % len(self.underway))
        if fate == "post" and asyncio.run(self.posted(message)):
            return
        self.sqs.send_message(QueueUrl=DEAD, MessageBody=message.decode())

    async def posted(self, message: bytes) -> bool:
        try:
            await self.notifications().take(read_message(message), Source.WEBHOOK)
        except PostamtError:
            return False
        return True

    @rule(url=st.sampled_from([URL, DEAD]), seed=chance)
    def sqs_repeats(self, url: str, seed: int) -> None:
        if held := self.sqs.queues.get(url):
            again = held[seed % len(held)]
            held.append(replace(again, visible_at=self.now, handle=""))

    @rule(seconds=st.sampled_from([1, 30, 120, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(seed=chance)
    def order_changes(self, seed: int) -> None:
        def shuffled(held: list[Held]) -> list[Held]:
            return random.Random(seed).sample(held, len(held))

        self.sqs.order = shuffled

    # We

    @rule(url=st.sampled_from([URL, DEAD]), mishap=st.sampled_from(["", "", "killed", "failed"]))
    def drain(self, url: str, mishap: str) -> None:
        """Empty a queue; killed before the deletion, or with messages that stay undeleted."""
        if mishap == "killed":
            gone = refused("x", "DeleteMessageBatch")
            self.sqs.incidents["delete_message_batch"] = [gone] * 100
        elif mishap == "failed":
            self.sqs.lose_deletes = 1
        with contextlib.suppress(PostamtError):
            asyncio.run(self.queue(url).drain())
        self.sqs.incidents.clear()
        self.sqs.lose_deletes = 0
        if mishap == "killed":
            self.home.reopen()

    @rule(broken=st.booleans())
    def ledgers_disk(self, broken: bool) -> None:
        self.ledger_trouble = broken

    @rule(twins=st.booleans())
    def poll(self, twins: bool) -> None:
        stored = sorted(self.home.bucket.objects.items())
        if twins:
            found = [Arrival("mail", key, Source.POLL, etag=o.etag) for key, o in stored]
            self.home.ledger.arrivals.record_twins(found)
        else:
            self.home.ledger.arrivals.record(
                Arrival("mail", key, Source.RECONCILE, o.etag, o.size, o.last_modified)
                for key, o in stored
            )

    @rule()
    def deliver(self) -> None:
        asyncio.run(self.home.deliver())
        self.nobody_gets_what_is_not_theirs()

    @rule()
    def restart(self) -> None:
        self.home.reopen()

    def notifications(self) -> Notifications:
        events = Events(self.home.log)
        keys = OneKey(private_key().public_key())
        place = OurTopic(TOPIC, "mail", PREFIX)
        subscriber = NullSubscriber(TOPIC, events)
        return Notifications(place, keys, self.inbox(), subscriber, lambda: None, events)

    def inbox(self) -> Any:
        machine = self

        class Breakable(ArrivalQueue):
            async def record(self, arrivals: Any) -> int:
                if machine.ledger_trouble:
                    raise TryLaterError("The disk is full.")
                return await super().record(arrivals)

        return Breakable(self.home.ledger, Events(self.home.log), lambda: None)

    def queue(self, url: str) -> QueueConsumer:
        client: Any = self.sqs
        events = Events(self.home.log)
        return QueueConsumer(
            Sqs(client, url), QUEUES[url], self.notifications(), self.inbox(), events
        )

    # What must be true

    def delivered(self) -> Counter[tuple[str, str]]:
        return Counter(
            (name, text.decode().split()[-1]) for name in PEOPLE for text in self.home.bodies(name)
        )

    def nobody_gets_what_is_not_theirs(self) -> None:
        for (name, key), count in self.delivered().items():
            assert count == 1, (name, key)
            assert name in self.envelopes[key], (name, key)

    def all_is_well(self) -> None:
        """When the world is whole again each mail is where its envelope says, however it came."""
        self.ledger_trouble = False
        while self.underway:
            self.sns_acts(0, "post")
        for url in QUEUES:
            for _ in range(30):
                self.now += 3600
                self.drain(url, "")
            assert self.sqs.bodies(url) == [], "nothing loops"
        self.poll(twins=False)
        self.deliver()
        wanted = {(name, key) for key in self.told for name in self.envelopes[key]}
        wanted |= {(name, key) for key, name in self.named.items() if name}
        assert self.delivered() == dict.fromkeys(wanted, 1)
        # What neither a receipt nor the mail itself names waits, and is the default mailbox's then.
        lost = {key for key, name in self.named.items() if key not in self.told and not name}
        self.home.destinations = replace(self.home.destinations, envelope_grace=0.0)
        asyncio.run(self.home.deliver())
        assert self.delivered() == dict.fromkeys(wanted | {("anna", key) for key in lost}, 1)
        assert not self.home.log.events("error")


TestSources = Sources.TestCase
TestSources.settings = settings(
    max_examples=examples(25),
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
