"""Keeping the books while the daemon runs: signs of life, and what `status` wants to know."""

from __future__ import annotations

import asyncio

from postamt_sync.app.sd_notify import Systemd
from postamt_sync.delivery.courier import Courier
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.intake.subscription import SubscriptionState
from postamt_sync.intake.webhook_server import WebhookServer
from postamt_sync.ledger import Ledger, ObjectState
from postamt_sync.mail.arrival import Source

WRITE_EVERY = 30.0
"""Seconds; an idle daemon writes nothing at all."""
LOOK_EVERY = 2.0
"""Seconds between looks whether the subscription stands otherwise, which is written at once."""


class Watchdog:
    """Feeds systemd's watchdog, and notes in the ledger how the webhook is doing."""

    def __init__(
        self,
        ledger: Ledger,
        systemd: Systemd,
        events: Events,
        courier: Courier,
        webhook_server: WebhookServer | None,
    ) -> None:
        self._ledger = ledger
        self._systemd = systemd
        self._events = events
        self._courier = courier
        self._webhook_server = webhook_server
        self._written = ""

    async def run(self) -> None:
        """Go on until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._give_signs())
            tasks.create_task(self._write_now_and_then())

    async def _give_signs(self) -> None:
        """Show systemd that the event loop turns; a slow disk must not look like a blocked loop."""
        if self._systemd.watchdog_interval is None:
            return
        while True:
            self._systemd.alive()
            await asyncio.sleep(self._systemd.watchdog_interval)

    async def _write_now_and_then(self) -> None:
        while True:
            await self._write()
            status = self._subscription()
            for _ in range(round(WRITE_EVERY / LOOK_EVERY)):
                await asyncio.sleep(LOOK_EVERY)
                if self._subscription() != status:
                    break

    def _subscription(self) -> tuple[str, str] | None:
        if self._webhook_server is None:
            return None
        status = self._webhook_server.subscription.status
        return status.state, status.reason

    async def close(self) -> None:
        """Write what happened since the last time."""
        await self._write()

    async def _write(self) -> None:
        try:
            await asyncio.to_thread(self._note_webhook)
            states = await asyncio.to_thread(self._ledger.overview.states)
        except PostamtError as error:
            self._events.health_not_noted(str(error))
            return
        done = self._courier.progress.mails
        self._systemd.status(f"{done} mails since start, {states[ObjectState.WAITING]} waiting")

    def _note_webhook(self) -> None:
        if self._webhook_server is None:
            return
        tally = self._webhook_server.webhook.tally
        status = self._webhook_server.subscription.status
        taken, refused = sum(tally.taken.values()), sum(tally.refused.values())
        detail = f"subscription {status.state}, {taken} notices taken, {refused} refused"
        if detail + status.reason == self._written:
            return
        self._written = detail + status.reason
        if status.state in {SubscriptionState.FAILED, SubscriptionState.UNSUBSCRIBED}:
            self._ledger.overview.source_bad(Source.WEBHOOK, status.reason or status.state)
        else:
            self._ledger.overview.source_ok(Source.WEBHOOK, detail)
