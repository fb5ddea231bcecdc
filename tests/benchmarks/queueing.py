"""How fast the queue drains: python -m tests.benchmarks.queue [messages] [milliseconds a call].

Real: signatures, meaning, the ledger on this disk. SQS answers from memory after so many
milliseconds, as from another city. The emulator comes last: slow, but it speaks HTTP.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from postamt_sync.events import Events
from postamt_sync.intake.notifications import Notifications, OurTopic
from postamt_sync.intake.queue import QueueConsumer
from postamt_sync.intake.queues import NullSubscriber
from postamt_sync.intake.sqs import Sqs
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.arrival_queue import ArrivalQueue
from postamt_sync.mail.arrival import Source
from tests.doubles.inbox import MemoryLog, OneKey
from tests.doubles.moto import moto
from tests.doubles.sns import BUCKET, PREFIX, TOPIC, Signer, private_key, receipt
from tests.doubles.sqs import MemorySqs

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/postamt"

EMULATED = 100
"""Messages that the emulator gets: it is far slower than SQS."""


class DistantSqs(MemorySqs):
    """Every call takes its time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def receive_message(self, **request: Any) -> dict[str, Any]:
        time.sleep(self.seconds)
        return super().receive_message(**request)

    def delete_message_batch(self, **request: Any) -> dict[str, Any]:
        time.sleep(self.seconds)
        return super().delete_message_batch(**request)


async def drain(client: Any, url: str, state: Path) -> tuple[int, float, float]:
    """Return how many messages came, the seconds that it took, and those of the CPU."""
    ledger = Ledger.open(state)
    events = Events(MemoryLog())
    inbox = ArrivalQueue(ledger, events, lambda: None)
    keys = OneKey(private_key().public_key())
    place = OurTopic(TOPIC, BUCKET, PREFIX)
    subscriber = NullSubscriber(TOPIC, events)
    announcements = Notifications(place, keys, inbox, subscriber, lambda: None, events)
    queue = QueueConsumer(Sqs(client, url), Source.QUEUE, announcements, inbox, events)
    begun, cpu = time.perf_counter(), time.process_time()
    came = await queue.drain(seconds=3600)
    took = time.perf_counter() - begun, time.process_time() - cpu
    known = sum(ledger.overview.states().values())
    ledger.close()
    assert known == came, "each is in the ledger"
    return came, *took


def say(what: str, came: int, seconds: float, cpu: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{what}: {came} messages in {seconds:.2f} s ({came / seconds:.0f}/s), "
        f"CPU {cpu:.2f} s ({1000 * cpu / came:.2f} ms each), peak {peak:.0f} MB"
    )


async def main(count: int, milliseconds: float) -> None:
    signer = Signer()
    bodies = [
        json.dumps(signer.notification(receipt(f"{PREFIX}{number}"))) for number in range(count)
    ]
    for seconds in (0.0, milliseconds / 1000):
        client = DistantSqs(seconds)
        for body in bodies:
            client.send_message(QueueUrl=URL, MessageBody=body)
        with tempfile.TemporaryDirectory() as state:
            say(f"{1000 * seconds:.0f} ms a call", *await drain(client, URL, Path(state)))
    with moto() as aws, tempfile.TemporaryDirectory() as state:
        sqs = aws.client("sqs")
        url = sqs.create_queue(QueueName="bench")["QueueUrl"]
        for start in range(0, min(count, EMULATED), 10):
            entries = [
                {"Id": str(n), "MessageBody": body}
                for n, body in enumerate(bodies[start : start + 10])
            ]
            sqs.send_message_batch(QueueUrl=url, Entries=entries)
        say("emulator over HTTP", *await drain(sqs, url, Path(state)))


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    asyncio.run(main(wanted, float(sys.argv[2]) if len(sys.argv) > 2 else 40.0))
