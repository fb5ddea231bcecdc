"""`/metrics`: report and runtime in the format of Prometheus.

Names and labels are an interface: they are added to, never renamed. They contain no address,
subject or key: labels are states, sources and the names that the configuration gives to mailboxes.
Values from the ledger survive a restart; those from the runtime start over, as Prometheus expects
of a counter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from postamt_sync import __version__
from postamt_sync.ledger.incidents import Cause
from postamt_sync.status.report import Runtime, StatusReport

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(report: StatusReport, runtime: Runtime) -> bytes:
    """Return the exposition in Prometheus's text format 0.0.4. Blocking."""
    registry = CollectorRegistry()
    registry.register(_Families(report, runtime))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, report: StatusReport, runtime: Runtime) -> None:
        self._report = report
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("postamt_sync_build", "The version.", {"version": __version__})
        yield from self._mails()
        yield from self._mailboxes()
        yield from self._sources()
        yield from self._since_start()

    def _mails(self) -> Iterator[Metric]:
        report = self._report
        mails = GaugeMetricFamily("postamt_sync_mails", "Mails by state.", labels=["state"])
        for state, count in report.states.items():
            mails.add_metric([state], count)
        yield mails
        so_far, buckets = 0, []
        for bound, copies in report.latencies_ever.copies.items():
            so_far += copies
            buckets.append(("+Inf" if math.isinf(bound) else str(bound), float(so_far)))
        yield HistogramMetricFamily(
            "postamt_sync_delivery_latency_seconds",
            "From S3 to the Maildir, each copy; without backfill and redelivered mail.",
            buckets,
            sum_value=report.latencies_ever.seconds,
        )
        alerts = GaugeMetricFamily(
            "postamt_sync_alerts",
            "What a person is told of, or was within a day.",
            labels=["cause"],
        )
        for cause in Cause:
            alerts.add_metric([cause], sum(alert.cause is cause for alert in report.alerts))
        yield alerts
        yield GaugeMetricFamily(
            "postamt_sync_notices_not_understood",
            "Signed notifications that nobody understood, the newest hundred.",
            len(report.notifications),
        )

    def _mailboxes(self) -> Iterator[Metric]:
        delivered = CounterMetricFamily(
            "postamt_sync_mailbox_delivered", "Copies delivered.", labels=["mailbox"]
        )
        waiting = GaugeMetricFamily(
            "postamt_sync_mailbox_waiting",
            "Copies that the mailbox could not take yet.",
            labels=["mailbox"],
        )
        last = GaugeMetricFamily(
            "postamt_sync_mailbox_last_delivery_timestamp_seconds",
            "When the last copy was delivered.",
            labels=["mailbox"],
        )
        for health in self._report.mailboxes:
            delivered.add_metric([health.mailbox], health.delivered)
            waiting.add_metric([health.mailbox], health.waiting)
            if health.last_delivered_at is not None:
                last.add_metric([health.mailbox], health.last_delivered_at)
        yield from (delivered, waiting, last)

    def _sources(self) -> Iterator[Metric]:
        failing = GaugeMetricFamily(
            "postamt_sync_source_failing", "1 where a source does not work.", labels=["source"]
        )
        last = GaugeMetricFamily(
            "postamt_sync_source_last_success_timestamp_seconds",
            "When a source last worked.",
            labels=["source"],
        )
        for source in self._report.sources:
            failing.add_metric([source.source], source.problem is not None)
            if source.ok_at is not None:
                last.add_metric([source.source], source.ok_at)
        yield from (failing, last)

    def _since_start(self) -> Iterator[Metric]:
        runtime = self._runtime
        yield CounterMetricFamily(
            "postamt_sync_settled_mails", "Mails brought to an end since the start.", runtime.mails
        )
        yield CounterMetricFamily(
            "postamt_sync_settled_bytes", "Their size as S3 counts it.", runtime.bytes
        )
        yield GaugeMetricFamily(
            "postamt_sync_bucket_readable", "1 if the bucket can be read.", not runtime.trouble
        )
        taken = CounterMetricFamily(
            "postamt_sync_webhook_taken", "Notifications that the webhook took.", labels=["outcome"]
        )
        for outcome, count in runtime.notifications_taken.items():
            taken.add_metric([outcome], count)
        refused = CounterMetricFamily(
            "postamt_sync_webhook_refused", "Requests that it refused.", labels=["status"]
        )
        for status, count in runtime.notifications_refused.items():
            refused.add_metric([str(status)], count)
        yield from (taken, refused)
        if runtime.heartbeat_failing is not None:
            yield GaugeMetricFamily(
                "postamt_sync_heartbeat_failing",
                "1 if the last heartbeat did not arrive.",
                runtime.heartbeat_failing,
            )
