"""Mail that keeps coming: stored as SES does it, announced as SNS does it, faults included.

SNS announces most mails at once, some late, some twice, some after others, and some never; what is
not answered with 200 it sends again for a while, then gives up. Those are left to the poll.
"""

from __future__ import annotations

import heapq
import http.client
import random
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from tests.doubles.s3 import S3Double
from tests.end_to_end.home import ANNA, BRUNO
from tests.end_to_end.letters import Letter, letter, letter_to_both
from tests.end_to_end.webhooks import Reachable

ATTEMPTS = 20
RETRY_SECONDS = 0.5
ANSWER_WITHIN = 20.0
REMEMBERED = 500
"""Notifications that a replay can choose from."""


@dataclass(order=True)
class Announcement:
    """A notification on its way, due at a time on the monotonic clock."""

    at: float
    body: bytes = field(compare=False)
    attempts: int = field(compare=False, default=0)


class Sender:
    """Sends about `rate` mails a second from a thread of its own, until it is closed."""

    def __init__(self, home: Reachable, s3: S3Double, chance: random.Random, rate: float) -> None:
        self._home = home
        self._s3 = s3
        self._chance = chance
        self._rate = rate
        self._due: list[Announcement] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self.sent: list[Letter] = []
        self.announced: list[bytes] = []
        """The newest notifications, whether or not anybody took them."""
        self.answers: Counter[str] = Counter()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Send no more; what is under way is left to the poll."""
        self._closing.set()
        self._thread.join()

    def post(self, body: bytes) -> int:
        """Hand one notification to the webhook; 0 if nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self._home.port, ANSWER_WITHIN)
        try:
            connection.request("POST", "/sns", body)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            status = 0
        finally:
            connection.close()
        self.answers[str(status) if status else "none"] += 1
        return status

    def _run(self) -> None:
        following = time.monotonic()
        while not self._closing.is_set():
            if time.monotonic() >= following:
                following = time.monotonic() + self._chance.expovariate(self._rate)
                self._send()
            self._announce()
            self._closing.wait(0.01)

    def _send(self) -> None:
        one = self._letter(f"{self._chance.randrange(1 << 64):016x}")
        self._s3.put(one.key, one.body)
        self.sent.append(one)
        recipients = [{"anna": ANNA, "bruno": BRUNO}[place] for place in one.places]
        body = self._home.notification(one.key, *recipients)
        self.announced = [*self.announced[1 - REMEMBERED :], body]
        kind = self._chance.random()
        if kind < 0.1:
            return
        delay = self._chance.uniform(0, 3) if kind < 0.3 else 0.0
        for _ in range(2 if kind > 0.9 else 1):
            heapq.heappush(self._due, Announcement(time.monotonic() + delay, body))

    def _letter(self, name: str) -> Letter:
        if self._chance.random() < 0.2:
            return letter_to_both(name)
        size = self._chance.choice([1, 1, 1, 10, 10, 100, 10_000, 60_000, 250_000])
        return letter(name, self._chance.choice([ANNA, BRUNO]), "Tea? " * size)

    def _announce(self) -> None:
        while self._due and self._due[0].at <= time.monotonic():
            one = heapq.heappop(self._due)
            with suppress(OSError):
                if self.post(one.body) == 200:
                    continue
            if one.attempts < ATTEMPTS:
                later = time.monotonic() + RETRY_SECONDS
                heapq.heappush(self._due, Announcement(later, one.body, one.attempts + 1))
            if self._closing.is_set():
                return
