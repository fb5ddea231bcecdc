"""SES's own count of mail that it accepted and could not store (CloudWatch, namespace AWS/SES).

Nobody else knows of such mail: it never reached the bucket, and its sender was not told.
AWS: "Viewing metrics for Amazon SES email receiving".
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from postamt_sync.aws.errors import aws_call
from postamt_sync.events import printable
from postamt_sync.ledger.incidents import Cause, Incident
from postamt_sync.threads import in_own_thread

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_cloudwatch.type_defs import MetricOutputTypeDef

NAMES = ("PublishFailure", "PublishExpired")
HOUR = 3600
LOOKED_BACK = 14 * 86_400.0
"""Seconds; within them ListMetrics names a metric that has had a value."""
LATE = 3 * HOUR
"""Seconds by which a value may come late: so much is asked for once more each time."""
LONGEST_READ = 600.0
"""Seconds for all the calls of one reading; an answer may come without an end."""
MOST_METRICS = 50
"""Rules whose metrics are read: each costs a request."""


class SesMetrics:
    """Reads both metrics for every receipt rule of the region that has them."""

    def __init__(self, client: CloudWatchClient) -> None:
        self._client = client

    async def read(self, since: float | None, now: float) -> list[Incident]:
        """Return the hours since a moment (seconds since 1970) in which a rule failed.

        Hours that have not ended are left out: their count is not final. Raises PostamtError.
        """
        earliest = now - LOOKED_BACK
        start = earliest if since is None else max(since - LATE, earliest)
        span = (start // HOUR * HOUR, now // HOUR * HOUR)
        with aws_call("read the metrics of SES (CloudWatch)"):
            return await in_own_thread(lambda: self._read(*span), LONGEST_READ)

    def _read(self, start: float, end: float) -> list[Incident]:
        if start >= end:
            return []
        found: dict[str, Incident] = {}
        for name in NAMES:
            listed = self._client.list_metrics(Namespace="AWS/SES", MetricName=name)
            for metric in listed.get("Metrics", [])[:MOST_METRICS]:
                found |= {hour.what: hour for hour in self._hours(name, metric, start, end)}
        return list(found.values())

    def _hours(
        self, name: str, metric: MetricOutputTypeDef, start: float, end: float
    ) -> list[Incident]:
        dimensions = metric.get("Dimensions", [])
        answer = self._client.get_metric_statistics(
            Namespace="AWS/SES",
            MetricName=name,
            Dimensions=[{"Name": d["Name"], "Value": d["Value"]} for d in dimensions],
            StartTime=dt.datetime.fromtimestamp(start, dt.UTC),
            EndTime=dt.datetime.fromtimestamp(end, dt.UTC),
            Period=HOUR,
            Statistics=["Sum"],
        )
        place = ", ".join(f"{d['Name']} {d['Value']}" for d in dimensions) or "all rules"
        incidents = []
        for point in answer.get("Datapoints", []):
            count = point.get("Sum", 0.0)
            at = point["Timestamp"].timestamp() // HOUR * HOUR
            if count > 0:
                what = f"{name} {place} {at:.0f}"
                detail = f"{name}: {count:.0f} within an hour ({printable(place)})"
                incidents.append(Incident(Cause.PUBLISHING, what, at, detail))
        return incidents
