"""SES's counts of mail that it accepted and could not store (CloudWatch, namespace AWS/SES).

Nobody else knows of such mail: it never reached the bucket, and its sender was not told.
AWS: "Viewing metrics for Amazon SES email receiving". SES counts each failure several times: for
the rule, for its rule set by name, and for the active rule set ("[Active]"). The counts of a rule
set include other people's rules, so only those that name our rule are used.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from postamt_sync.awaiting import in_own_thread
from postamt_sync.aws.errors import aws_call
from postamt_sync.events import printable
from postamt_sync.ledger.incidents import Cause, Incident

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_cloudwatch.type_defs import DimensionFilterTypeDef, MetricOutputTypeDef

NAMES = ("PublishFailure", "PublishExpired")
HOUR = 3600
LOOKED_BACK = 14 * 86_400.0
"""Seconds: ListMetrics names the metrics that had a value within this time."""
LATE = 3 * HOUR
"""Seconds by which a value may be late: so much is asked for again each time."""
LONGEST_READ = 600.0
"""Seconds for all calls of one reading: an answer may never end."""
MOST_METRICS = 50
"""How many sets of dimensions are read: each costs a request."""
MOST_PAGES = 10
"""How many pages of a list are read, which might otherwise never end."""
RULE = "RuleName"


class SesMetrics:
    """Reads both metrics of one receipt rule, whatever rule set it is in."""

    def __init__(self, client: CloudWatchClient, rule: str = "postamt") -> None:
        self._client = client
        self._rule = rule

    async def read(self, since: float | None, now: float) -> list[Incident]:
        """Return the hours since `since` in which the rule failed. Both times are since 1970.

        The current hour is left out, as its count is not final. Raises PostamtError.
        """
        earliest = now - LOOKED_BACK
        start = earliest if since is None else max(since - LATE, earliest)
        span = (start // HOUR * HOUR, now // HOUR * HOUR)
        with aws_call("read the metrics of SES (CloudWatch)"):
            return await in_own_thread(lambda: self._read(*span), LONGEST_READ)

    def _read(self, start: float, end: float) -> list[Incident]:
        if start >= end:
            return []
        return [
            self._incident(name, at, failures)
            for name in NAMES
            for at, failures in sorted(self._failures(name, start, end).items())
        ]

    def _incident(self, name: str, at: float, failures: float) -> Incident:
        rule = printable(self._rule)
        detail = f"{name}: {failures:.0f} within an hour (rule {rule})"
        return Incident(Cause.PUBLISHING, f"{name} {rule} {at:.0f}", at, detail)

    def _failures(self, name: str, start: float, end: float) -> dict[float, float]:
        """Return how often the rule failed, for each hour.

        If several sets of dimensions name the rule, each of them counts the same failures.
        """
        most: dict[float, float] = {}
        for metric in itertools.islice(self._listed(name), MOST_METRICS):
            for at, failures in self._hours(name, metric, start, end):
                if failures > most.get(at, 0.0):
                    most[at] = failures
        return most

    def _listed(self, name: str) -> Iterator[MetricOutputTypeDef]:
        """Yield our rule's metrics of this name."""
        ours: Sequence[DimensionFilterTypeDef] = [{"Name": RULE, "Value": self._rule}]
        more: dict[str, Any] = {}
        for _ in range(MOST_PAGES):
            page = self._client.list_metrics(
                Namespace="AWS/SES", MetricName=name, Dimensions=ours, **more
            )
            for metric in page.get("Metrics", []):
                named = {d.get("Name"): d.get("Value") for d in metric.get("Dimensions", [])}
                if named.get(RULE) == self._rule:
                    yield metric
            if not page.get("NextToken"):
                return
            more = {"NextToken": page["NextToken"]}

    def _hours(
        self, name: str, metric: MetricOutputTypeDef, start: float, end: float
    ) -> Iterator[tuple[float, float]]:
        answer = self._client.get_metric_statistics(
            Namespace="AWS/SES",
            MetricName=name,
            Dimensions=[{"Name": d["Name"], "Value": d["Value"]} for d in metric["Dimensions"]],
            StartTime=dt.datetime.fromtimestamp(start, dt.UTC),
            EndTime=dt.datetime.fromtimestamp(end, dt.UTC),
            Period=HOUR,
            Statistics=["Sum"],
        )
        for point in answer.get("Datapoints", []):
            yield point["Timestamp"].timestamp() // HOUR * HOUR, point.get("Sum", 0.0)
