"""The alert monitor, which checks every minute what is wrong, and writes and delivers alerts.

Everything that it goes by is in the ledger or on the disks, so a restart loses nothing and reports
nothing twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.alerts import conditions
from postamt_sync.alerts.delivery import AlertDelivery
from postamt_sync.alerts.message import compose
from postamt_sync.alerts.ses_metrics import SesMetrics
from postamt_sync.awaiting import contained
from postamt_sync.config import LiveSettings, Settings
from postamt_sync.config.command import typed
from postamt_sync.delivery.destinations import Destinations, configured_destinations
from postamt_sync.delivery.publisher import Publisher
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events, printable
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.incidents import Cause, Incident, wanted_causes
from postamt_sync.ledger.source_notes import SourceNotes
from postamt_sync.quantities import count
from postamt_sync.unexpected import as_trouble

LOOK_EVERY = 60.0
"""Seconds between checks."""
SOON = 5.0
"""Seconds between checks while a rebuild has not yet found out what is absent."""
METRICS_FIRST = 600.0
"""Seconds after the start, when there are more urgent things to do."""
METRICS_EVERY = 3600.0
"""Seconds."""
METRICS = "ses-metrics"
"""The name of this source in `status`."""
MOST_QUARANTINED = 1000
"""How many quarantined mails are looked at, the newest."""


@dataclass(frozen=True, slots=True)
class MonitorClocks:
    """`wall` is in seconds since 1970; `monotonic` stands still while the machine sleeps."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Served:
    """The webhook's certificate: its file, and the content that is in use (None: read it now)."""

    path: Path
    chain: bytes | None = None


class AlertMonitor:
    """Writes to the person behind the default mailbox, in the current `destinations`."""

    def __init__(
        self,
        live: LiveSettings,
        ledger: Ledger,
        destinations: Callable[[], Destinations],
        delivery: AlertDelivery,
        ses_metrics: SesMetrics,
        events: Events,
        *,
        clocks: MonitorClocks | None = None,
        served: Callable[[], Served | None] | None = None,
    ) -> None:
        """`served` returns the certificate that the webhook uses; default: the configured one."""
        self._live = live
        self._ledger = ledger
        self._destinations = destinations
        self._delivery = delivery
        self._ses_metrics = ses_metrics
        self._notes = SourceNotes(ledger.overview, events, METRICS)
        self._events = events
        self._clocks = clocks or MonitorClocks()
        self._served = served or self._configured
        self._started = self._clocks.monotonic()
        self._metrics_at = self._started + METRICS_FIRST
        self._asked = asyncio.Event()
        self._pause = LOOK_EVERY

    def soon(self) -> None:
        """Check at once, as there is something to report."""
        self._asked.set()

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            self._asked.clear()
            await self.look()
            try:
                async with asyncio.timeout(self._pause):
                    await self._asked.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Check once, write alerts and deliver them. If the ledger refuses, that is logged."""
        try:
            await self._read_metrics()
            await asyncio.to_thread(self._look)
        except PostamtError as error:
            self._events.alerts_not_written(str(error))

    def _look(self) -> None:
        now, settings, destinations = self._clocks.wall(), self._live.current, self._destinations()
        wanted = wanted_causes(settings.alerts.wanted)
        incidents = self._ledger.incidents
        sources = self._ledger.overview.sources()
        names = [mailbox.name for mailbox in settings.mailboxes]
        places = {"state": settings.state_dir} | {m.name: m.maildir for m in settings.mailboxes}
        shown = self._served()
        looks: dict[Cause, Callable[[], dict[str, str]]] = {
            Cause.CREDENTIALS: lambda: conditions.refused(sources),
            Cause.SILENCE: lambda: conditions.silent(
                sources,
                now=now,
                running=self._clocks.monotonic() - self._started,
                interval=settings.poll.interval,
            ),
            Cause.CERTIFICATE: lambda: conditions.expiring(
                shown.path if shown else None, now=now, chain=shown.chain if shown else None
            ),
            Cause.DISK: lambda: conditions.full(places),
            Cause.SEALING: lambda: conditions.unsealed(
                sources, now=now, running=self._clocks.monotonic() - self._started
            ),
            Cause.MAILBOX: lambda: conditions.vanished(destinations.mailboxes, names),
        }
        for cause, look in looks.items():
            incidents.lasting(cause, look() if cause in wanted else {}, now)
        self._pause = SOON if self._ledger.absences.may_grow() else LOOK_EVERY
        if Cause.ABSENT in wanted:
            incidents.happened(conditions.absent(self._ledger.absences, now))
        if Cause.QUARANTINE in wanted:
            incidents.happened(self._quarantined(now))
        for cause in wanted:
            if to_tell := incidents.to_tell(cause, now):
                message = compose(
                    to_tell,
                    destinations.routes.default,
                    now,
                    lambda verb: typed(verb, settings.source),
                )
                incidents.tell(to_tell, message, now)
        self._delivery.deliver(destinations)

    def _configured(self) -> Served | None:
        webhook = self._live.current.webhook
        if webhook is None or webhook.tls_certificate is None:
            return None
        return Served(webhook.tls_certificate)

    def _quarantined(self, now: float) -> list[Incident]:
        return [
            Incident(
                Cause.QUARANTINE,
                f"{known.mail} {known.settled_at}",
                known.settled_at or now,
                f"{printable(known.key, 100)}: {printable(known.problem or '')}",
            )
            for known in self._ledger.repair.quarantined(MOST_QUARANTINED)
        ]

    async def _read_metrics(self) -> None:
        clock = self._clocks.monotonic()
        if clock < self._metrics_at or Cause.PUBLISHING not in wanted_causes(
            self._live.current.alerts.wanted
        ):
            return
        self._metrics_at = clock + METRICS_EVERY
        sources = await asyncio.to_thread(self._ledger.overview.sources)
        since = next((source.ok_at for source in sources if source.source == METRICS), None)
        try:
            found = await contained(self._ses_metrics.read(since, self._clocks.wall()))
        except Exception as error:  # noqa: BLE001  whatever it answers, alerts do not depend on it
            trouble = str(as_trouble(error))
            self._events.metrics_unread(trouble)
            # Not as `refused`, which is for alerts: mail itself may come nevertheless.
            await self._notes.bad(trouble)
            return
        await asyncio.to_thread(self._ledger.incidents.happened, found)
        await self._notes.well(f"{count(len(found), 'hour')} with failures")


def tell_absent(settings: Settings, ledger: Ledger, events: Events) -> None:
    """Report once that the rebuild in a single pass found mail absent, as nobody else would.

    For those who want alerts of it. Blocking. To be called only while holding the courier's lock.
    Raises PostamtError if the ledger refuses.
    """
    now, incidents = time.time(), ledger.incidents
    incidents.happened(conditions.absent(ledger.absences, now))
    to_tell = incidents.to_tell(Cause.ABSENT, now)
    if not to_tell:
        return
    destinations = configured_destinations(settings, ledger.work)
    body = compose(
        to_tell, destinations.routes.default, now, lambda verb: typed(verb, settings.source)
    )
    incidents.tell(to_tell, body, now)
    AlertDelivery(incidents, Publisher(ledger.work, events), events).deliver(destinations)
