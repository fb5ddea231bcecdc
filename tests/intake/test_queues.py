"""The queues of one configuration: which are drained, which is listened at, and what is noted."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.config import Settings
from postamt_sync.errors import TryLaterError
from postamt_sync.events import Events
from postamt_sync.intake.queues import QueueHooks, Queues
from postamt_sync.ledger import Ledger
from postamt_sync.mail.arrival import Source
from tests.doubles.inbox import MemoryInbox, MemoryLog, OneKey
from tests.doubles.scene import until
from tests.doubles.sns import BUCKET, PREFIX, TOPIC, Signer, private_key, receipt
from tests.doubles.sqs import MemorySqs, refused
from tests.support.new_ledger import new_ledger

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/postamt"
DEAD = f"{URL}-dead"


class Home:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.sqs = MemorySqs()
        self.inbox = MemoryInbox()
        self.log = MemoryLog()
        self.told: list[int] = []
        """How many dead letters were noted each time that someone was to be told."""

    def queues(self, **queue: Any) -> Queues:
        settings = Settings(
            aws={"region": "eu-west-1"},
            bucket={"name": BUCKET, "prefix": PREFIX},
            queue={"topic_arn": TOPIC, **queue},
            mailboxes=[{"name": "anna", "maildir": "/mail/anna", "default": True}],
        )
        client: Any = self.sqs
        return Queues(
            settings,
            client,
            OneKey(private_key().public_key()),
            self.inbox,
            self.ledger.overview,
            Events(self.log),
            QueueHooks(
                tell_soon=lambda: self.told.append(len(self.inbox.dead_letters)),
                why_refused=lambda: "the webhook answered 503",
            ),
        )

    def send(self, url: str, key: str) -> None:
        body = json.dumps(Signer().notification(receipt(PREFIX + key)))
        self.sqs.send_message(QueueUrl=url, MessageBody=body)

    def heard(self) -> dict[str, Source]:
        return {arrival.key.removeprefix(PREFIX): arrival.source for arrival in self.inbox.arrivals}

    def noted(self) -> dict[str, str | None]:
        return {source.source: source.problem for source in self.ledger.overview.sources()}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    ledger = new_ledger(tmp_path)
    yield Home(ledger)
    ledger.close()


async def test_the_queue_and_its_dead_letters_are_drained(home: Home) -> None:
    queues = home.queues(url=URL, dead_letter_url=DEAD)
    home.send(URL, "a")
    home.send(DEAD, "b")
    await queues.drain()
    assert home.heard() == {"a": Source.QUEUE, "b": Source.DEAD_LETTER}
    assert home.noted() == {"queue": None, "dead-letter": None}
    (_, queue) = home.ledger.overview.sources()
    assert queue.detail == "1 taken, 0 not believed since start"


async def test_what_is_listened_at_is_not_drained_too(home: Home) -> None:
    queues = home.queues(url=URL, dead_letter_url=DEAD, long_poll=True)
    home.send(URL, "a")
    home.send(DEAD, "b")
    await queues.drain()
    assert home.heard() == {"b": Source.DEAD_LETTER}
    listening = asyncio.create_task(queues.listen())
    await until(lambda: len(home.heard()) == 2)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert home.heard()["a"] is Source.QUEUE


async def test_with_nothing_to_listen_at_it_ends(home: Home) -> None:
    await home.queues(url=URL).listen()


async def test_one_that_cannot_be_read_keeps_nothing_from_the_other(home: Home) -> None:
    queues = home.queues(url=URL, dead_letter_url=DEAD)
    home.send(DEAD, "b")

    def receive(**request: Any) -> Any:
        if request["QueueUrl"] == URL:
            raise refused("AccessDenied", "ReceiveMessage")
        return MemorySqs.receive_message(home.sqs, **request)

    home.sqs.receive_message = receive  # type: ignore[method-assign]
    await queues.drain()
    assert home.heard() == {"b": Source.DEAD_LETTER}
    assert home.noted()["dead-letter"] is None
    assert "may not receive from the queue" in str(home.noted()["queue"])
    assert home.log.events("warning") == ["could not read the queue, will try again"]


@pytest.mark.parametrize("error", [KeyError("Messages"), BaseException("panic")], ids=repr)
async def test_whatever_reading_one_raises_the_other_is_drained(
    home: Home, error: BaseException
) -> None:
    queues = home.queues(url=URL, dead_letter_url=DEAD)
    home.send(DEAD, "b")

    def receive(**request: Any) -> Any:
        if request["QueueUrl"] == URL:
            raise error
        return MemorySqs.receive_message(home.sqs, **request)

    home.sqs.receive_message = receive  # type: ignore[method-assign]
    await queues.drain()
    assert home.heard() == {"b": Source.DEAD_LETTER}
    assert home.noted()["queue"]


async def test_when_it_can_be_read_again_that_is_noted(home: Home) -> None:
    queues = home.queues(url=URL)
    await queues.drain()
    home.sqs.incidents["receive_message"] = [refused("ExpiredToken", "ReceiveMessage")]
    await queues.drain()
    assert home.noted()["queue"]
    await queues.drain()
    assert home.noted()["queue"] is None


async def test_while_all_is_well_next_to_nothing_is_written(home: Home) -> None:
    queues = home.queues(url=URL)
    await queues.drain()
    (first,) = home.ledger.overview.sources()
    await queues.drain()
    (second,) = home.ledger.overview.sources()
    assert first == second


async def test_whoever_listens_in_vain_makes_pauses(home: Home) -> None:
    home.sqs.incidents["receive_message"] = [refused("x", "ReceiveMessage")] * 1000
    listening = asyncio.create_task(home.queues(url=URL, long_poll=True).listen())
    await until(lambda: home.noted().get("queue"))
    await asyncio.sleep(0.05)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert home.sqs.count("receive_message") == 1
    ((_, _, fields),) = home.log.said
    assert fields["seconds"] == 10


async def test_dead_letters_are_noted_before_they_are_deleted_and_then_told(home: Home) -> None:
    queues = home.queues(url=URL, dead_letter_url=DEAD)
    home.send(URL, "a")
    for number in range(17):
        home.send(DEAD, str(number))
    said = {"ErrorMessage": {"StringValue": "timed out", "DataType": "String"}}
    message = json.dumps(Signer().notification(receipt(f"{PREFIX}x")))
    home.sqs.send_message(QueueUrl=DEAD, MessageBody=message, MessageAttributes=said)
    home.sqs.send_message(QueueUrl=DEAD, MessageBody="forged")
    home.inbox.keep_dead_letters = refuse  # type: ignore[method-assign]
    await queues.drain()
    assert len(home.sqs.bodies(DEAD)) == 19
    assert home.told == []
    del home.inbox.keep_dead_letters
    for held in home.sqs.queues[DEAD]:
        held.visible_at = 0
    await queues.drain()
    assert home.sqs.bodies(DEAD) == []
    errors = Counter(letter.error for letter in home.inbox.dead_letters)
    assert errors == {"the webhook answered 503": 17, "timed out": 1}
    assert home.told == [18], "once, when all are noted"
    await queues.drain()
    assert home.told == [18]


async def refuse(_: Any) -> None:
    raise TryLaterError("The disk is full.")
