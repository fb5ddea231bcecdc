"""Signs of life for systemd, and how the webhook is doing for `status`."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from postamt_sync.app.sd_notify import Systemd
from postamt_sync.delivery.courier import Courier
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.intake.subscription import SubscriptionState
from postamt_sync.intake.webhook_server import WebhookServer
from postamt_sync.ledger import Ledger, ObjectState
from postamt_sync.ledger.source_notes import SourceNotes
from postamt_sync.mail.arrival import Source
from postamt_sync.quantities import count

WRITE_EVERY = 30.0
"""Seconds; a change of the subscription is written at once, and an idle daemon writes nothing."""
STILL_FOR = 600.0
"""Seconds without progress of any mail on its way after which systemd restarts us. A read that
gets nothing, and a disk that does not answer, are given up within half a minute each."""
LOOK_WITHOUT_SYSTEMD = 30.0


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
        self._notes = SourceNotes(ledger.overview, events, Source.WEBHOOK)
        self._written = ""

    async def give_signs(self) -> None:
        """Show systemd that the event loop runs and mail moves; a slow disk must not look dead.

        Goes on until cancelled, and asks nothing that can fail: without signs we are restarted.
        """
        interval = self._systemd.watchdog_interval
        told = False
        while True:
            still = self._courier.still_for > STILL_FOR
            if still and not told:
                self._events.delivery_stands_still(self._courier.still_for)
            told = still
            if interval is not None and not still:
                self._systemd.alive()
            await asyncio.sleep(interval or LOOK_WITHOUT_SYSTEMD)

    async def note_health(self) -> None:
        """Note how the webhook is doing until cancelled."""
        while True:
            if self._webhook_server is None:
                await self._write()
                await asyncio.sleep(WRITE_EVERY)
                continue
            changed = self._webhook_server.subscription.status_changed
            changed.clear()
            await self._write()
            with suppress(TimeoutError):
                async with asyncio.timeout(WRITE_EVERY):
                    await changed.wait()

    async def close(self) -> None:
        """Write what happened since the last time."""
        await self._write()

    async def _write(self) -> None:
        try:
            await self._note_webhook()
            states = await asyncio.to_thread(self._ledger.overview.states)
        except PostamtError as error:
            self._events.health_not_noted(str(error))
            return
        done = self._courier.progress.mails
        self._systemd.status(f"{done} mails since start, {states[ObjectState.WAITING]} waiting")

    async def _note_webhook(self) -> None:
        """Write what has changed; an idle daemon writes nothing."""
        if self._webhook_server is None:
            return
        tally = self._webhook_server.webhook.tally
        status = self._webhook_server.subscription.status
        taken, refused = sum(tally.taken.values()), sum(tally.refused.values())
        notifications = count(taken, "notification")
        detail = f"subscription {status.state}, {notifications} taken, {refused} refused"
        if detail + status.reason == self._written:
            return
        if status.state in {SubscriptionState.FAILED, SubscriptionState.UNSUBSCRIBED}:
            written = await self._notes.bad(status.reason or status.state)
        else:
            written = await self._notes.well(detail)
        self._written = detail + status.reason if written else ""
