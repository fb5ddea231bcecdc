"""Taking a changed configuration or certificate over while mail flows.

A broken configuration is refused with its reasons and the old one goes on, and so is one with a
mailbox where this process may not write. A file that changed by itself never takes a mailbox away,
because a half-saved file may parse too; a person's SIGHUP does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from postamt_sync.awaiting import contained
from postamt_sync.config import LiveSettings, Settings
from postamt_sync.delivery.courier import Courier
from postamt_sync.delivery.disk import is_read_only
from postamt_sync.errors import ConfigurationError, PostamtError
from postamt_sync.events import Events, printable
from postamt_sync.intake.poll import Poll
from postamt_sync.intake.webhook_server import WebhookServer
from postamt_sync.ledger import Ledger
from postamt_sync.threads import ask_disk
from postamt_sync.unexpected import as_trouble


class Reload:
    """Puts a changed configuration into `live`, and a renewed certificate into the webhook."""

    def __init__(
        self,
        live: LiveSettings,
        load: Callable[[], Settings],
        events: Events,
        ledger: Ledger,
        courier: Courier,
        poll: Poll,
        webhook_server: WebhookServer | None,
    ) -> None:
        """`load` reads the configuration again and raises ConfigurationError."""
        self._live = live
        self._load = load
        self._events = events
        self._ledger = ledger
        self._courier = courier
        self._poll = poll
        self._webhook_server = webhook_server
        self._lock = asyncio.Lock()

    @property
    def files(self) -> list[Path]:
        """What is to be watched: the configuration, the certificate and its key."""
        settings = self._live.current
        webhook = settings.webhook
        tls = [webhook.tls_certificate, webhook.tls_key] if webhook else []
        return [Path(settings.source), *(path for path in tls if path is not None)]

    async def file_changed(self) -> None:
        """A watched file changed by itself: no mailbox is taken away."""
        await self._reload(may_remove=False)

    async def by_hand(self) -> None:
        """Someone asked for it (SIGHUP): what is no longer configured is taken away."""
        await self._reload(may_remove=True)
        try:
            await asyncio.to_thread(self._ledger.work.retry_now)
        except PostamtError as error:
            self._events.retry_failed(str(error))
        self._courier.wake()
        self._poll.soon()

    async def _reload(self, *, may_remove: bool) -> None:
        async with self._lock:
            try:
                settings, reasons = await contained(asyncio.to_thread(self._read))
            except ConfigurationError as error:
                reasons = [str(problem) for problem in error.problems]
            except Exception as error:  # noqa: BLE001  whatever lies there now, mail flows
                reasons = [str(as_trouble(error))]
            if reasons:
                self._events.reload_refused("configuration", reasons)
                await self._renew_tls(self._live.current)  # it may be what changed, and is due
                return
            await self._renew_tls(settings)
            self._settle(settings, may_remove=may_remove)

    def _read(self) -> tuple[Settings, list[str]]:
        """Return new settings, and what speaks against them; raises what reading them raises."""
        source = Path(self._live.current.source)
        if source.exists() and not source.is_file():  # a pipe would never end
            return self._live.current, [f"{printable(str(source))} is not a file."]
        settings = self._load()
        return settings, self._outside(settings)

    def _outside(self, settings: Settings) -> list[str]:
        """Say which new mailboxes lie where this process may not write, and what to do.

        Those that are in use already are the courier's: their disk may be fixed while mail waits.
        """
        used = {mailbox.maildir for mailbox in (*self._live.current.mailboxes, *self._live.kept)}
        return [
            f"mailboxes[{mailbox.name}].maildir: {mailbox.maildir} is read-only for this process. "
            "Let the service write there: sudo postamt-sync service install"
            for mailbox in settings.mailboxes
            if mailbox.maildir not in used
            and ask_disk(partial(is_read_only, mailbox.maildir), False)
        ]

    async def _renew_tls(self, settings: Settings) -> None:
        webhook = settings.webhook or self._live.current.webhook
        if self._webhook_server is None or webhook is None:
            return
        certificate, key = webhook.tls_certificate, webhook.tls_key
        before = self._webhook_server.certificate
        for file in (certificate, key):
            if file is not None and file.exists() and not file.is_file():
                reason = f"{printable(str(file))} is not a file."
                self._events.reload_refused("certificate", [reason])
                return
        try:
            replace = self._webhook_server.replace_tls
            await contained(asyncio.to_thread(replace, certificate, key))
        except Exception as error:  # noqa: BLE001  the old one goes on
            self._events.reload_refused("certificate", [str(as_trouble(error))])
        else:
            shown = self._webhook_server.certificate
            if shown and (before is None or shown.chain != before.chain):
                self._events.reloaded("certificate")

    def _settle(self, settings: Settings, *, may_remove: bool) -> None:
        waiting = self._live.waiting_for_restart(settings)
        self._live.replace(settings, may_remove=may_remove)
        for mailbox in self._live.kept:
            self._events.mailbox_kept(mailbox.name)
        self._events.reloaded("configuration")
        if waiting:
            self._events.needs_restart(list(waiting))
