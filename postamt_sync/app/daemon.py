"""The daemon: intake, ledger and courier in one process, started, reloaded and stopped together.

Everything meets in the ledger, so nothing needs to be handed over at a stop: what is under way is
finished or forgotten, and the next start goes on from the ledger.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial

from postamt_sync import __version__
from postamt_sync.app.daemon_components import Components
from postamt_sync.app.ledger_guard import opened, until_lost
from postamt_sync.app.ledger_watch import LedgerWatch
from postamt_sync.app.memory import pass_over_what_is_there
from postamt_sync.app.reload import Reload
from postamt_sync.app.sd_notify import Systemd
from postamt_sync.app.supervisor import Service, Supervisor
from postamt_sync.config import Settings
from postamt_sync.delivery.destinations import Destinations
from postamt_sync.delivery.pending_mail import StepObserver, no_observer
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.unexpected import as_trouble


class Daemon:
    """One run of the daemon, from settings to a clean stop."""

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Settings],
        events: Events,
        *,
        environ: Mapping[str, str] = os.environ,
        observer: StepObserver = no_observer,
    ) -> None:
        """`load` reads the configuration again and raises ConfigurationError."""
        self._settings = settings
        self._load = load
        self._events = events
        self._environ = environ
        self._observer = observer
        self._systemd = Systemd(environ)
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT; a second one ends the process at once.

        Raises PostamtError if it cannot start: lock held, address in use, ledger unusable; and
        EssentialServiceError if the courier or the ledger fails unexpectedly.
        """
        started = time.monotonic()
        self._handle_signals()
        lost = ""
        while not self._stop.is_set():
            async with opened(
                self._settings, self._events, self._systemd, self._stop, lost=lost
            ) as ledger:
                if ledger is not None:
                    lost = await self._run(ledger, started)
            started = time.monotonic()
        self._events.stopped()

    async def _run(self, ledger: Ledger, started: float) -> str:
        """Run until a stop, or until the ledger is lost and saved; then say what happened to it."""
        with LedgerWatch(self._settings.state_dir, self._events) as watch:
            return await self._run_watched(ledger, started, watch)

    async def _run_watched(self, ledger: Ledger, started: float, watch: LedgerWatch) -> str:
        waiting = await asyncio.to_thread(ledger.work.make_all_due)
        parts = Components(
            self._settings,
            self._load,
            ledger,
            self._events,
            self._systemd,
            self._environ,
            self._observer,
            watch,
        )
        services = [*parts.services()]
        services.insert(0, Service("reload", partial(self._on_hangup, parts.reload)))
        async with parts.bucket:
            # Before anything runs: an address in use is for a person.
            if parts.webhook_server is not None:
                parts.webhook_server.open(self._systemd.inherited_sockets())
            if parts.status_server is not None:
                parts.status_server.open()
            async with Supervisor(
                services, {"courier"}, ledger.overview, self._events
            ) as supervisor:
                await asyncio.to_thread(_make_mailboxes, parts.destinations.current(), self._events)
                mailboxes, seconds = len(self._settings.mailboxes), time.monotonic() - started
                self._events.started(__version__, mailboxes, waiting, seconds)
                self._systemd.ready(f"{waiting} mails waiting")
                pass_over_what_is_there()
                lost = await supervisor.unless_failed(
                    self._until_stop_or_loss(ledger, watch), "ledger"
                )
                if self._stop.is_set():
                    self._systemd.stopping()
        self._settings = parts.live.for_next_start
        return lost

    async def _until_stop_or_loss(self, ledger: Ledger, watch: LedgerWatch) -> str:
        guard = until_lost(ledger, self._events, touched=watch.touched)
        losing = asyncio.create_task(guard)
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([losing, stopping], return_when=asyncio.FIRST_COMPLETED)
            return losing.result() if losing.done() else ""
        finally:
            losing.cancel()
            stopping.cancel()

    async def _on_hangup(self, reload: Reload) -> None:
        hangup = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hangup.set)
        while True:
            await hangup.wait()
            hangup.clear()
            self._systemd.reloading()
            try:
                await reload.by_hand()
            finally:  # else systemd would think that we are reloading forever
                self._systemd.ready("reloaded")

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            os._exit(128 + number)
        self._events.stopping(number.name)
        self._stop.set()


def _make_mailboxes(destinations: Destinations, events: Events) -> None:
    """Make new mailboxes before the first mail, so that Dovecot finds them; problems can wait."""
    mailboxes = destinations.mailboxes
    for name in mailboxes.names:
        try:
            mailboxes.ready(name)
        except Exception as error:  # noqa: BLE001  one mailbox must not keep the others from starting
            events.mailbox_unusable(name, str(as_trouble(error)))
