"""What becomes of a queue's messages: taken, kept for status, or left for later; never believed."""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from postamt_sync.errors import PostamtError, TryLaterError
from postamt_sync.events import Events
from postamt_sync.intake.notifications import NotificationOutcome, Notifications, OurTopic
from postamt_sync.intake.queue import LEAST_PAUSE, RECEIVERS, QueueClocks, QueueConsumer
from postamt_sync.intake.queues import NullSubscriber
from postamt_sync.intake.sqs import MOST_AT_ONCE, QueueMessage, Sqs
from postamt_sync.mail.arrival import Source
from tests.doubles.clock import Clock
from tests.doubles.inbox import MemoryInbox, MemoryLog, OneKey
from tests.doubles.scene import until
from tests.doubles.sns import BUCKET, PREFIX, TOPIC, Signer, private_key, receipt, s3_event
from tests.doubles.sqs import MemorySqs, refused

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/postamt"


class Desk:
    """A queue with everything around it."""

    def __init__(
        self,
        source: Source = Source.QUEUE,
        hidden: float = 120.0,
        keys: Any = None,
        store: Any = None,
    ) -> None:
        self.clock = Clock()
        self.sqs = MemorySqs(self.clock)
        self.log, self.inbox = MemoryLog(), MemoryInbox()
        self.keys = keys or OneKey(private_key().public_key())
        self.time = self.takes = 0.0
        self.paused: list[float] = []
        self.polls = 0
        self.told: list[str] = []
        self.tell_trouble: PostamtError | None = None
        events = Events(self.log)
        notifications = Notifications(
            OurTopic(TOPIC, BUCKET, PREFIX),
            self.keys,
            self.inbox,
            NullSubscriber(TOPIC, events),
            self.poll_soon,
            events,
        )
        client: Any = self.sqs
        self.queue = QueueConsumer(
            store or Sqs(client, URL),
            source,
            notifications,
            self.inbox,
            events,
            settled=self.settled,
            hidden=hidden,
            clocks=QueueClocks(self.passing, self.sleep),
        )

    def passing(self) -> float:
        """A clock that goes on by what an answer takes."""
        self.time += self.takes
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.paused.append(seconds)

    def poll_soon(self) -> None:
        self.polls += 1

    async def settled(self, true: Any) -> None:
        if self.tell_trouble:
            raise self.tell_trouble
        self.told += [told.message_id for _, told in true]

    def send(self, *messages: dict[str, Any] | str) -> None:
        for message in messages:
            body = message if isinstance(message, str) else json.dumps(message)
            self.sqs.send_message(QueueUrl=URL, MessageBody=body)

    def keys_of(self) -> list[str]:
        return sorted(arrival.key for arrival in self.inbox.arrivals)

    @property
    def left(self) -> int:
        return len(self.sqs.bodies(URL))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def told(number: int) -> dict[str, Any]:
    return Signer().notification(receipt(f"{PREFIX}{number:04}"))


@pytest.mark.parametrize("source", [Source.QUEUE, Source.DEAD_LETTER])
async def test_what_is_true_is_recorded_and_deleted(source: Source) -> None:
    desk = Desk(source)
    messages = [told(1), told(2), Signer().notification(s3_event("incoming/0003"))]
    desk.send(*messages)
    assert await desk.queue.drain() == 3
    assert desk.keys_of() == [f"{PREFIX}000{number}" for number in (1, 2, 3)]
    assert {arrival.source for arrival in desk.inbox.arrivals} == {source}
    assert desk.left == 0
    assert desk.sqs.count("delete_message_batch") == 1, "several at a time"
    assert sorted(desk.told) == sorted(message["MessageId"] for message in messages)
    assert desk.queue.tally.taken == {NotificationOutcome.STORED: 3}


async def test_all_of_a_long_queue_is_taken(desk: Desk) -> None:
    desk.send(*(told(number) for number in range(95)))
    assert await desk.queue.drain() == 95
    assert len(desk.keys_of()) == len(set(desk.keys_of())) == 95
    assert desk.left == 0


async def test_a_flood_does_not_keep_the_poll_waiting_forever(desk: Desk) -> None:
    desk.send(*(told(number) for number in range(95)))
    assert await desk.queue.drain(seconds=-1) == 40, "one batch for each receiver"
    assert desk.left == 55


class Body(str):
    """A text of which it can be told whether anybody still has it."""

    __slots__ = ("__weakref__",)


class Flood:
    """A queue with so many messages, each made when it is asked for; counts who holds what."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.under_way = self.most_under_way = self.most_held = 0
        self._bodies: list[weakref.ref[Body]] = []
        self._told = json.dumps(told(1))

    async def receive(self, wait: int, visibility: int) -> list[QueueMessage]:
        count = min(MOST_AT_ONCE, self.left)
        self.left -= count
        bodies = [Body(self._told) for _ in range(count)]
        self._bodies = [ref for ref in self._bodies if ref() is not None]
        self._bodies += [weakref.ref(body) for body in bodies]
        self.under_way += count
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.most_held = max(self.most_held, len(self._bodies))
        return [QueueMessage(body, "handle") for body in bodies]

    async def delete(self, messages: Sequence[QueueMessage]) -> int:
        await asyncio.sleep(0)
        self.under_way -= len(messages)
        return 0

    async def hide(self, seconds: Sequence[tuple[QueueMessage, int]]) -> None:
        self.under_way -= len(seconds)


@pytest.mark.slow
@pytest.mark.parametrize("trouble", [None, TryLaterError("The disk is full.", "Make room.")])
async def test_of_a_flood_no_more_is_held_than_is_under_way(trouble: PostamtError | None) -> None:
    flood = Flood(2000)
    desk = Desk(store=flood)
    desk.inbox.trouble = trouble
    with suppress(TryLaterError):
        assert await desk.queue.drain() == 2000
    assert flood.under_way == 0
    assert flood.most_under_way <= RECEIVERS * MOST_AT_ONCE
    # Of each receiver's batch before the last a name may be left while it waits for the next.
    assert flood.most_held <= 2 * RECEIVERS * MOST_AT_ONCE


async def test_it_asks_so_that_none_means_none(desk: Desk) -> None:
    await desk.queue.drain()
    await desk.queue.listen()
    waits = [request["WaitTimeSeconds"] for _, request in desk.sqs.calls]
    assert waits == [1, 1, 1, 1, 20]


@pytest.mark.parametrize("answer_takes", [0.0, 1.0, 4.9])
async def test_a_server_that_keeps_no_question_open_is_not_asked_without_a_pause(
    desk: Desk, answer_takes: float
) -> None:
    for asked in range(3):
        desk.takes = answer_takes
        assert await desk.queue.listen() == 0
        assert sum(desk.paused) == pytest.approx((asked + 1) * (LEAST_PAUSE - answer_takes))


async def test_after_a_long_poll_or_a_message_it_is_asked_at_once(desk: Desk) -> None:
    desk.takes = 20.0
    await desk.queue.listen()
    desk.takes = 0.0
    desk.send(told(1))
    assert await desk.queue.listen() == 1
    assert desk.paused == []


async def test_whoever_listens_drains_a_backlog(desk: Desk) -> None:
    desk.send(*(told(number) for number in range(25)))
    assert await desk.queue.listen() == 25
    assert desk.left == 0


# Not to be believed


def forged() -> list[dict[str, Any] | str]:
    signer = Signer()
    true = signer.notification(receipt(f"{PREFIX}a"))
    return [
        {**true, "Message": receipt(f"{PREFIX}b")},
        Signer(key=private_key(1)).notification(receipt(f"{PREFIX}c")),
        signer.notification(receipt(f"{PREFIX}d"), TopicArn=f"{TOPIC}-not-ours"),
        {k: v for k, v in true.items() if k != "Signature"},
        receipt(f"{PREFIX}e"),  # raw delivery: true perhaps, but nothing proves it
        s3_event(f"{PREFIX}f"),
        "",
        "hello",
        "[]",
        '{"Type": "Notification"}',
    ]


@pytest.mark.parametrize("message", forged())
async def test_a_foreign_or_forged_message_is_kept_deleted_and_never_believed(
    desk: Desk, message: dict[str, Any] | str
) -> None:
    desk.send(message)
    assert await desk.queue.drain() == 1
    assert desk.inbox.arrivals == []
    ((source, reason, text),) = desk.inbox.notifications
    assert source is Source.QUEUE
    assert reason
    assert text == (message if isinstance(message, str) else json.dumps(message))
    assert desk.left == 0, "it does not loop"
    assert desk.told == []
    assert desk.polls == 0, "a stranger must not make us poll"
    assert desk.queue.tally.disbelieved == 1


async def test_what_cannot_be_kept_is_not_deleted(desk: Desk) -> None:
    desk.send("hello")
    desk.inbox.trouble = TryLaterError("The disk is full.")
    with pytest.raises(TryLaterError, match="disk"):
        await desk.queue.drain()
    assert desk.left == 1


async def test_what_is_true_but_not_understood_is_kept_and_deleted(desk: Desk) -> None:
    desk.send(Signer().notification("something new"))
    await desk.queue.drain()
    assert len(desk.inbox.notifications) == 1
    assert desk.left == 0
    assert desk.polls == 1


async def test_a_confirmation_in_a_queue_confirms_nothing(desk: Desk) -> None:
    desk.send(Signer().confirmation("t"), Signer().unsubscription())
    await desk.queue.drain()
    ((_, reason, _),) = desk.inbox.notifications
    assert "that is not ours" in reason
    assert len(desk.log.events("error")) == 1, "that someone unsubscribed is said"
    assert desk.left == 0


# Troubles of ours


async def test_nothing_is_deleted_before_the_ledger_has_it(desk: Desk) -> None:
    gate = asyncio.Event()
    record = desk.inbox.record

    async def slow(arrivals: Any) -> int:
        await gate.wait()
        return await record(arrivals)

    desk.inbox.record = slow  # type: ignore[method-assign]
    desk.send(told(1), told(2))
    draining = asyncio.create_task(desk.queue.drain())
    await until(lambda: desk.keys.asked == [Signer().url] * 2)
    assert desk.left == 2
    gate.set()
    await draining
    assert desk.left == 0


async def test_a_ledger_in_trouble_leaves_all_and_is_told(desk: Desk) -> None:
    desk.send(told(1), told(2))
    desk.inbox.trouble = TryLaterError("The disk is full.")
    with pytest.raises(TryLaterError, match="disk"):
        await desk.queue.drain()
    assert desk.left == 2
    assert desk.queue.tally.left == 2
    desk.inbox.trouble = None
    assert await desk.queue.drain() == 0, "it is hidden for a while"
    desk.clock.now += 10
    assert await desk.queue.drain() == 2
    assert len(desk.keys_of()) == 2
    assert desk.left == 0


async def test_it_is_hidden_for_longer_from_time_to_time(desk: Desk) -> None:
    desk.send(told(1))
    desk.inbox.trouble = TryLaterError("The disk is full.")
    pauses = []
    for _ in range(12):
        with pytest.raises(TryLaterError):
            await desk.queue.drain()
        (held,) = desk.sqs.queues[URL]
        pauses.append(held.visible_at - desk.clock.now)
        desk.clock.now = held.visible_at
    for pause, most in zip(pauses, [10, 20, 40, 80, 160, 320, 640, 1280, 2560], strict=False):
        assert most * 0.79 <= pause <= most or pause == 10
    assert max(pauses) <= 3600


async def test_one_that_cannot_be_judged_yet_holds_up_no_other() -> None:
    """An address at SNS where there is no certificate."""
    other = Signer(url=f"{Signer().url[:-4]}0.pem")

    class Keys(OneKey):
        async def key(self, url: str, peer: str = "") -> Any:
            if url == other.url:
                raise TryLaterError("The signing certificate could not be fetched.")
            return await super().key(url)

    desk = Desk(keys=Keys(private_key().public_key()))
    desk.send(told(1), other.notification(receipt(f"{PREFIX}x")), told(2))
    assert await desk.queue.drain() == 3
    assert desk.keys_of() == [f"{PREFIX}0001", f"{PREFIX}0002"]
    assert desk.left == 1


async def test_while_a_slow_disk_takes_its_time_it_stays_hidden() -> None:
    desk = Desk(hidden=0.02)
    gate = asyncio.Event()
    record = desk.inbox.record

    async def slow(arrivals: Any) -> int:
        await gate.wait()
        return await record(arrivals)

    desk.inbox.record = slow  # type: ignore[method-assign]
    desk.send(told(1))
    draining = asyncio.create_task(desk.queue.drain())
    await until(lambda: desk.sqs.count("change_message_visibility_batch") >= 2)
    (held,) = desk.sqs.queues[URL]
    desk.clock.now += 100
    renewed = desk.sqs.count("change_message_visibility_batch")
    await until(lambda: desk.sqs.count("change_message_visibility_batch") > renewed + 1)
    assert held.visible_at - desk.clock.now == 120
    gate.set()
    await draining
    assert held.received == 1
    assert desk.left == 0


async def test_a_message_that_cannot_be_deleted_comes_again_and_does_no_harm(desk: Desk) -> None:
    desk.send(told(1))
    desk.sqs.lose_deletes = 1
    await desk.queue.drain()
    assert desk.log.events("warning") == ["taken, but still in the queue"]
    desk.clock.now += 120
    await desk.queue.drain()
    assert desk.queue.tally.taken == {NotificationOutcome.STORED: 1, NotificationOutcome.KNOWN: 1}
    assert desk.left == 0


async def test_a_queue_that_may_not_be_emptied_is_told(desk: Desk) -> None:
    desk.send(told(1))
    desk.sqs.incidents["delete_message_batch"] = [refused("AccessDenied", "DeleteMessageBatch")]
    with pytest.raises(PostamtError, match="may not delete from the queue"):
        await desk.queue.drain()
    assert len(desk.keys_of()) == 1


async def test_what_may_not_be_hidden_longer_is_no_trouble(desk: Desk) -> None:
    desk.send(told(1), told(2))
    desk.inbox.trouble = TryLaterError("The disk is full.")
    denied = refused("AccessDenied", "ChangeMessageVisibilityBatch")
    desk.sqs.incidents["change_message_visibility_batch"] = [denied]
    with pytest.raises(TryLaterError, match="disk"):
        await desk.queue.drain()
    desk.inbox.trouble = None
    desk.clock.now += 120
    assert await desk.queue.drain() == 2


class Panic(BaseException):
    """As what is written in Rust raises it."""


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("oops"), Panic("oops"), asyncio.CancelledError("oops")], ids=repr
)
async def test_a_bug_of_ours_leaves_the_message(desk: Desk, error: BaseException) -> None:
    desk.send(told(1))
    desk.inbox.trouble = error
    with pytest.raises(PostamtError, match="Unexpected error"):
        await desk.queue.drain()
    assert desk.log.events("error") == ["internal error"]
    assert desk.left == 1


async def test_what_cannot_be_told_is_not_deleted(desk: Desk) -> None:
    desk.send(told(1))
    desk.tell_trouble = TryLaterError("The disk is full.")
    with pytest.raises(TryLaterError, match="disk"):
        await desk.queue.drain()
    assert desk.left == 1


async def test_stopped_in_the_middle_it_deletes_nothing(desk: Desk) -> None:
    gate = asyncio.Event()

    async def never(_: Any) -> int:
        await gate.wait()
        return 0

    desk.inbox.record = never  # type: ignore[method-assign]
    desk.send(told(1))
    draining = asyncio.create_task(desk.queue.drain())
    await until(lambda: desk.keys.asked)
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    assert desk.left == 1
    assert len(asyncio.all_tasks()) == 1, "nobody goes on hiding it"
