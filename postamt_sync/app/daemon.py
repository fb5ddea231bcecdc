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
from contextlib import AsyncExitStack

import boto3

from postamt_sync import __version__
from postamt_sync.alerts.delivery import AlertDelivery
from postamt_sync.alerts.heartbeat import Heartbeat
from postamt_sync.alerts.monitor import AlertMonitor
from postamt_sync.alerts.ses_metrics import SesMetrics
from postamt_sync.app.file_watcher import FileWatcher
from postamt_sync.app.ledger_guard import opened, until_lost
from postamt_sync.app.reload import Reload
from postamt_sync.app.sd_notify import Systemd
from postamt_sync.app.watchdog import Watchdog
from postamt_sync.aws.clients import cloudwatch_client, new_session, sns_client, sqs_client
from postamt_sync.bucket import Bucket
from postamt_sync.config import Settings
from postamt_sync.delivery.courier import Courier
from postamt_sync.delivery.destinations import configured_destinations
from postamt_sync.delivery.publisher import Publisher
from postamt_sync.delivery.steps import StepObserver, no_observer
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.index.client import open_index
from postamt_sync.index.lookups import IndexLookups
from postamt_sync.intake.poll import Poll
from postamt_sync.intake.queues import Queues
from postamt_sync.intake.scanner import Scanner, as_found
from postamt_sync.intake.sns_certificates import Certificates, certificates
from postamt_sync.intake.webhook import WebhookTally
from postamt_sync.intake.webhook_server import WebhookServer
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.arrival_queue import ArrivalQueue
from postamt_sync.recovery.daily_backup import DailyBackup
from postamt_sync.recovery.open_ledger import end_rebuild
from postamt_sync.status.cache import ReportCache, read_report_apart
from postamt_sync.status.runtime import Runtime
from postamt_sync.status.server import StatusServer

ANSWER_GRACE = 2.0
"""Seconds that running answers have at a stop."""


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
        """`load` reads the configuration anew and raises ConfigurationError."""
        self._settings = settings
        self._load = load
        self._events = events
        self._environ = environ
        self._observer = observer
        self._systemd = Systemd(environ)
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT; a second one ends the process at once.

        Raises PostamtError if it cannot start: lock held, address in use, ledger unusable.
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
        async with AsyncExitStack() as stack:
            return await self._run_parts(ledger, stack, started)

    async def _run_parts(self, ledger: Ledger, stack: AsyncExitStack, started: float) -> str:
        settings, events = self._settings, self._events
        session = new_session(settings.aws.region)
        destinations = configured_destinations(settings, ledger.work)
        bucket = Bucket(settings.bucket.name, settings.aws.region, session=session)
        await stack.enter_async_context(bucket)
        waiting = await asyncio.to_thread(ledger.work.make_all_due)
        courier = Courier(ledger, bucket, destinations, events, observer=self._observer)
        envelopes = self._envelopes(session, ledger, courier)
        scanner = Scanner(
            bucket,
            ledger,
            events,
            settings.bucket.prefix,
            settings.bucket.recent_prefix,
            envelopes.complete if envelopes else as_found,
        )
        inbox = ArrivalQueue(ledger, events, courier.wake)
        poll = Poll(
            scanner,
            ledger,
            events,
            interval=settings.poll.interval,
            reconcile_interval=settings.poll.reconcile_interval,
            on_look=courier.bucket_is_back,
            on_listed=lambda: end_rebuild(reload.settings, ledger, events),
        )
        keys = certificates(settings.topic_arn, self._environ) if settings.topic_arn else None
        webhook_server = self._webhook_server(session, keys, inbox, poll, courier)
        heartbeat = Heartbeat(settings.poll.heartbeat_url, events)
        poll.after_success = heartbeat.soon
        reload = Reload(
            settings, self._load, events, ledger, courier, poll, webhook_server, heartbeat
        )
        watch = AlertMonitor(
            ledger,
            lambda: reload.settings,
            lambda: courier.destinations,
            AlertDelivery(ledger.incidents, Publisher(ledger.work, events, self._observer), events),
            events,
            ses_metrics=lambda: SesMetrics(cloudwatch_client(session, settings.aws.region)),
        )
        queues = self._queues(session, keys, inbox, ledger, poll, watch)
        if queues is not None:
            poll.before_look = queues.drain
            if webhook_server is not None:
                tally = webhook_server.webhook.tally
                queues.why_refused = lambda: tally.last_trouble
        watchdog = Watchdog(ledger, self._systemd, events, courier, webhook_server)
        admin = self._admin(courier, webhook_server, heartbeat)
        if webhook_server is not None:  # first, and outside of the group: its error is for a person
            webhook_server.open(self._systemd.inherited_sockets())
        if admin is not None:
            admin.open()
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(part, name=name)
                for name, part in {
                    "courier": courier.run(),
                    "poll": poll.run(),
                    "books": watchdog.run(),
                    "heartbeat": heartbeat.run(),
                    "copy": DailyBackup(settings, ledger, events).run(),
                    "watch": FileWatcher(reload.files, reload.file_changed, events).run(),
                    "hangup": self._on_hangup(reload),
                    "alerts": watch.run(),
                    **(
                        {"subscription": webhook_server.subscription.run()}
                        if webhook_server
                        else {}
                    ),
                    **({"queue": queues.listen()} if queues else {}),
                    **({"envelopes": envelopes.run()} if envelopes else {}),
                }.items()
            ]
            await asyncio.to_thread(_make_mailboxes, courier, events)
            events.started(
                __version__, len(settings.mailboxes), waiting, time.monotonic() - started
            )
            self._systemd.ready(f"{waiting} mails waiting")
            lost = await self._until_stop_or_loss(ledger)
            if self._stop.is_set():
                self._systemd.stopping()
            if webhook_server is not None:
                await webhook_server.close(ANSWER_GRACE)
            if admin is not None:
                await admin.close()
            for task in running:
                task.cancel()
        if keys is not None:
            await keys.close()
        await watchdog.close()
        self._settings = reload.for_next_start
        return lost

    async def _until_stop_or_loss(self, ledger: Ledger) -> str:
        losing = asyncio.create_task(until_lost(ledger, self._events))
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([losing, stopping], return_when=asyncio.FIRST_COMPLETED)
            return losing.result() if losing.done() else ""
        finally:
            losing.cancel()
            stopping.cancel()

    def _queues(
        self,
        session: boto3.Session,
        keys: Certificates | None,
        inbox: ArrivalQueue,
        ledger: Ledger,
        poll: Poll,
        watch: AlertMonitor,
    ) -> Queues | None:
        queue = self._settings.queue
        if keys is None or not (queue.url or queue.dead_letter_url):
            return None
        client = sqs_client(session, self._settings.aws.region)
        return Queues(
            self._settings,
            client,
            keys,
            inbox,
            ledger.overview,
            self._events,
            poll_soon=poll.soon,
            tell_soon=watch.soon,
        )

    def _envelopes(
        self, session: boto3.Session, ledger: Ledger, courier: Courier
    ) -> IndexLookups | None:
        index = open_index(self._settings, session)
        if index is None:
            return None
        return IndexLookups(
            index,
            ledger,
            self._events,
            grace=lambda: courier.destinations.envelope_grace,
            wake=courier.wake,
        )

    def _webhook_server(
        self,
        session: boto3.Session,
        keys: Certificates | None,
        inbox: ArrivalQueue,
        poll: Poll,
        courier: Courier,
    ) -> WebhookServer | None:
        webhook = self._settings.webhook
        if webhook is None or keys is None:
            return None
        return WebhookServer(
            self._settings,
            webhook,
            sns_client(session, self._settings.aws.region),
            keys,
            inbox,
            self._events,
            poll_soon=poll.soon,
            health=lambda: "the bucket cannot be read" if courier.trouble else "",
        )

    def _admin(
        self, courier: Courier, webhook_server: WebhookServer | None, heartbeat: Heartbeat
    ) -> StatusServer | None:
        settings = self._settings
        if not settings.admin.listen:
            return None

        def runtime() -> Runtime:
            tally = webhook_server.webhook.tally if webhook_server else WebhookTally()
            return Runtime(
                mails=courier.progress.mails,
                bytes=courier.progress.bytes,
                trouble=str(courier.trouble or ""),
                notifications_taken={str(outcome): n for outcome, n in tally.taken.items()},
                notifications_refused=tally.refused_by_status(),
                heartbeat_failing=heartbeat.failing,
            )

        reports = ReportCache(lambda: read_report_apart(settings))
        return StatusServer(settings.admin.listen, reports, runtime, self._events)

    async def _on_hangup(self, reload: Reload) -> None:
        hangup = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hangup.set)
        while True:
            await hangup.wait()
            hangup.clear()
            self._systemd.reloading()
            await reload.by_hand()
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


def _make_mailboxes(courier: Courier, events: Events) -> None:
    """Make new mailboxes before the first mail, so that Dovecot finds them; problems can wait."""
    mailboxes = courier.destinations.mailboxes
    for name in mailboxes.names:
        try:
            mailboxes.ready(name)
        except PostamtError as error:
            events.trouble(f"mailbox {name} cannot be used", str(error))
