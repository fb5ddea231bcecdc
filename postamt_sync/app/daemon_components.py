"""All parts of one daemon, made of one configuration, and how they meet.

What the configuration leaves out is None, and is no service. Making a part asks nobody: neither the
network nor a program of credentials.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from postamt_sync.alerts.delivery import AlertDelivery
from postamt_sync.alerts.heartbeat import Heartbeat
from postamt_sync.alerts.monitor import AlertMonitor, Served
from postamt_sync.alerts.ses_metrics import SesMetrics
from postamt_sync.app.components import (
    is_sealed,
    make_lookups,
    make_scanner,
)
from postamt_sync.app.file_watcher import FileWatcher
from postamt_sync.app.ledger_watch import LedgerWatch
from postamt_sync.app.open_bucket import open_bucket
from postamt_sync.app.reload import Reload
from postamt_sync.app.sd_notify import Systemd
from postamt_sync.app.supervisor import Service, nothing
from postamt_sync.app.watchdog import Watchdog
from postamt_sync.app.watermark import WatermarkWriter, note_switched_off
from postamt_sync.aws.clients import (
    cloudwatch_client,
    dynamodb_client,
    lazy_session,
    lean_session,
    sns_client,
    sqs_client,
)
from postamt_sync.config import LiveSettings, Settings
from postamt_sync.delivery.courier import Courier
from postamt_sync.delivery.destinations import LiveDestinations
from postamt_sync.delivery.pending_mail import StepObserver
from postamt_sync.delivery.publisher import Publisher
from postamt_sync.events import Events
from postamt_sync.index.client import open_index
from postamt_sync.intake.poll import Poll, PollHooks
from postamt_sync.intake.webhook import WebhookTally
from postamt_sync.intake.webhook_server import WebhookServer
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.arrival_queue import ArrivalQueue
from postamt_sync.ledger.log_room import make_room_in_log
from postamt_sync.recovery.completion import end_rebuild
from postamt_sync.recovery.daily_backup import DailyBackup
from postamt_sync.seal.records import SealRecords
from postamt_sync.status.header_memory import HeaderMemory
from postamt_sync.status.report import Runtime
from postamt_sync.status.report_cache import ReportCache, read_report_apart
from postamt_sync.status.server import StatusServer

if TYPE_CHECKING:
    from postamt_sync.intake.queues import Queues
    from postamt_sync.intake.sns_certificates import Certificates

ANSWER_GRACE = 2.0
"""Seconds that running answers have at a stop."""


class Components:
    """The parts of one daemon; `services` names those that work by themselves."""

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Settings],
        ledger: Ledger,
        events: Events,
        systemd: Systemd,
        environ: Mapping[str, str],
        observer: StepObserver,
        watch: LedgerWatch,
    ) -> None:
        """`load` reads the configuration again and raises ConfigurationError."""
        self._settings, self._ledger, self._events = settings, ledger, events
        self._session = lazy_session(partial(lean_session, settings.aws.region))
        self._look_now = asyncio.Event()
        self._webhook_tally = WebhookTally()
        self.live = LiveSettings(settings)
        self.bucket = open_bucket(settings, self._session, self.live)
        self.destinations = LiveDestinations(self.live, ledger.work)
        self.headers = HeaderMemory(self.live, ledger.headers, self.destinations.current)
        self.courier = Courier(
            ledger,
            self.bucket,
            self.destinations.current,
            events,
            observer=observer,
            heard=self.headers.heard,
            looks_every=lambda: watch.looks_every,
        )
        self.courier.look_for_sealed(partial(is_sealed, settings, self.bucket))
        self.lookups = make_lookups(
            self.live, ledger, open_index(settings, self._session), events, self.courier.wake
        )
        watch.on_commit(self.courier.wake)
        if self.lookups is not None:
            watch.on_commit(self.lookups.look)
            self.lookups.looks_every = lambda: watch.looks_every
        self._inbox = ArrivalQueue(ledger, events, self.courier.wake)
        self.courier.places.give_way_while(lambda: self._inbox.many_wait)
        self.heartbeat = Heartbeat(self.live, events)
        self.certificates = self._certificates(environ)
        self.webhook_server = self._webhook_server()
        self.alerts = AlertMonitor(
            self.live,
            ledger,
            self.destinations.current,
            AlertDelivery(ledger.incidents, Publisher(ledger.work, events, observer), events),
            SesMetrics(cloudwatch_client(self._session, settings.aws.region), settings.stack.name),
            events,
            served=self._served,
        )
        self.queues = self._queues()
        self._watermark = self._made_watermark()
        self.poll = self._poll()
        self.reload = Reload(
            self.live, load, events, ledger, self.courier, self.poll, self.webhook_server
        )
        self.watchdog = Watchdog(ledger, systemd, events, self.courier, self.webhook_server)
        self.status_server = self._status_server()

    def services(self) -> list[Service]:
        """Return what works by itself, so that the last is the first to be closed."""
        reload = self.reload
        watcher = FileWatcher(lambda: reload.files, reload.file_changed, self._events)
        backup = DailyBackup(self._settings, self._ledger, self._events)
        services = [
            Service("health", self.watchdog.note_health, self.watchdog.close),
            Service("watchdog", self.watchdog.give_signs),
            Service("courier", self.courier.run),
            Service("poll", self.poll.run),
            Service("heartbeat", self.heartbeat.run),
            Service("copy", backup.run),
            Service("log room", partial(asyncio.to_thread, make_room_in_log, self._ledger.store)),
            Service("file watch", watcher.run),
            Service("alerts", self.alerts.run),
            Service("headers", self.headers.run, self.headers.write),
        ]
        if self.certificates is not None:
            services.append(Service("certificates", close=self.certificates.close))
        services.append(Service("seal", self._watermark.run if self._watermark else self._unsealed))
        if self.lookups is not None:
            services.append(Service("index", self.lookups.run))
        if self.queues is not None:
            services.append(Service("queue", self.queues.listen))
        if self.status_server is not None:
            services.append(Service("admin", close=self.status_server.close))
        if (webhook := self.webhook_server) is not None:
            close = partial(webhook.close, ANSWER_GRACE)
            services.append(Service("subscription", webhook.subscription.run, close))
        return services

    def _poll(self) -> Poll:
        scanner = make_scanner(
            self._settings, self._ledger, self.bucket, self._events, self.lookups
        )
        return Poll(
            self.live,
            scanner,
            self._ledger,
            self._events,
            hooks=PollHooks(
                on_look=self.courier.bucket_is_back,
                on_listed=self._end_rebuild,
                before_look=self.queues.drain if self.queues else nothing,
                after_success=self.heartbeat.soon,
                on_reconciled=self._watermark.reconciled if self._watermark else lambda _: None,
            ),
            asked=self._look_now,
        )

    def _made_watermark(self) -> WatermarkWriter | None:
        settings = self._settings
        if not settings.seal.enabled:
            return None
        client = dynamodb_client(self._session, settings.aws.region)
        records = SealRecords(client, settings.seal_table)
        return WatermarkWriter(settings, self._ledger, records, self._events)

    async def _unsealed(self) -> None:
        await asyncio.to_thread(note_switched_off, self._ledger, self._events)

    def _end_rebuild(self) -> None:
        end_rebuild(self.live.current, self._ledger, self._events)

    def _certificates(self, environ: Mapping[str, str]) -> Certificates | None:
        if not self._settings.topic_arn:
            return None
        # What proves signatures takes a tenth of a start, for those whom SNS tells of mail.
        from postamt_sync.intake.sns_certificates import certificates  # noqa: PLC0415

        return certificates(self._settings, environ, self._events)

    def _webhook_server(self) -> WebhookServer | None:
        if self._settings.webhook is None or self.certificates is None:
            return None
        return WebhookServer(
            self.live,
            sns_client(self._session, self._settings.aws.region),
            self.certificates,
            self._inbox,
            self._events,
            poll_soon=self._look_now.set,
            health=self._health,
            tally=self._webhook_tally,
            on_receipt=self.headers.told,
        )

    def _served(self) -> Served | None:
        shown = self.webhook_server.certificate if self.webhook_server else None
        return Served(shown.path, shown.chain) if shown else None

    def _health(self) -> str:
        return "the bucket cannot be read" if self.courier.trouble else ""

    def _queues(self) -> Queues | None:
        queue = self._settings.queue
        if self.certificates is None or not (queue.url or queue.dead_letter_url):
            return None
        from postamt_sync.intake.queues import QueueHooks, Queues  # noqa: PLC0415

        return Queues(
            self._settings,
            sqs_client(self._session, self._settings.aws.region),
            self.certificates,
            self._inbox,
            self._ledger.overview,
            self._events,
            QueueHooks(
                self._look_now.set,
                self.alerts.soon,
                self._webhook_tally.last_trouble,
                self.headers.told,
                doubt_subscription=self._doubt_subscription,
            ),
        )

    def _doubt_subscription(self) -> None:
        if self.webhook_server is not None:
            self.webhook_server.subscription.unsubscribed()

    def _status_server(self) -> StatusServer | None:
        settings = self._settings
        if not settings.admin.listen:
            return None
        reports = ReportCache(partial(read_report_apart, settings))
        return StatusServer(
            settings.admin.listen,
            reports,
            self.runtime,
            self._events,
            lambda: self.live.current,
        )

    def runtime(self) -> Runtime:
        """Return what only the running daemon knows."""
        tally, progress = self._webhook_tally, self.courier.progress
        return Runtime(
            mails=progress.settled,
            bytes=progress.bytes,
            trouble=str(self.courier.trouble or ""),
            notifications_taken={str(outcome): n for outcome, n in tally.taken.items()},
            notifications_refused=tally.refused_by_status(),
            heartbeat_failing=self.heartbeat.failing,
        )
