"""What goes wrong on the way from SNS to us, on demand: loss, copies, delay, disorder, outage."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from postamt_sync.demo.notification import SnsNotification
from postamt_sync.demo.subscription import SnsSubscription


@dataclass(slots=True)
class PushFaults:
    """Set what is to go wrong next; with nothing set, nothing does."""

    api_down: bool = False
    """Every API call is answered 503."""
    certificate_down: bool = False
    """The certificate is answered 503."""
    _lost: list[tuple[str, str | None, bool]] = field(default_factory=list)
    _copied: dict[str, int] = field(default_factory=dict)
    _flow: asyncio.Event = field(default_factory=asyncio.Event)
    _held: int = 0
    _disorder: random.Random | None = None

    def __post_init__(self) -> None:
        self._flow.set()

    def lose(
        self, containing: str, subject: str | None = None, *, for_queues: bool = False
    ) -> None:
        """Never push a notice whose message contains this to an HTTP endpoint.

        With a `subject` only notices with that subject are lost. Queues still get all of them,
        unless it is lost `for_queues` too.
        """
        self._lost.append((containing, subject, for_queues))

    def repeat(self, containing: str, times: int) -> None:
        """Send a notice whose message contains this `times` in all, even if it was accepted."""
        self._copied[containing] = times

    def hold(self) -> None:
        """Send nothing until `release`."""
        self._held = 0
        self._flow.clear()

    def release(self, shuffle: int | None = None) -> None:
        """Send what was held; with a seed, in an order that has nothing to do with the old one."""
        self._disorder = None if shuffle is None else random.Random(shuffle)  # noqa: S311
        self._flow.set()

    def loses(self, notification: SnsNotification, subscription: SnsSubscription) -> bool:
        if notification.kind != "Notification":
            return False
        return any(
            text in notification.message
            and subject in (None, notification.subject)
            and (for_queues or subscription.protocol != "sqs")
            for text, subject, for_queues in self._lost
        )

    def copies(self, notification: SnsNotification) -> int:
        return max(
            (n for text, n in self._copied.items() if text in notification.message), default=1
        )

    async def wait(self) -> None:
        """Return when SNS may send: at once, unless notices are held."""
        if self._flow.is_set():
            return
        self._held += 1
        await self._flow.wait()
        if self._disorder is not None:
            for _ in range(self._disorder.randrange(self._held)):
                await asyncio.sleep(0)
