"""SES's metrics, read from the emulator's CloudWatch."""

from __future__ import annotations

import datetime as dt
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from postamt_sync.alerts.ses_metrics import HOUR, LATE, LOOKED_BACK, SesMetrics
from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError
from postamt_sync.ledger.incidents import Cause
from tests.doubles.moto import Moto, moto

NOW = time.time() // HOUR * HOUR + 1800
"""Half past the hour."""

pytestmark = pytest.mark.slow  # it loads the emulator


@pytest.fixture(scope="module")
def aws() -> Iterator[Moto]:
    with moto() as aws:
        yield aws


@pytest.fixture
def client(aws: Moto) -> Iterator[Any]:
    client = aws.client("cloudwatch")
    yield client
    reset = urllib.request.Request(f"{aws.url}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset).close()


def failed(client: Any, name: str, at: float, count: float = 1, rule: str = "postamt") -> None:
    client.put_metric_data(
        Namespace="AWS/SES",
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": [
                    {"Name": "RuleSetName", "Value": "default"},
                    {"Name": "RuleName", "Value": rule},
                ],
                "Timestamp": dt.datetime.fromtimestamp(at, dt.UTC),
                "Value": count,
            }
        ],
    )


@pytest.mark.slow
async def test_without_failures_there_is_nothing_to_tell(client: Any) -> None:
    failed(client, "PublishFailure", NOW - 2 * HOUR, 0)
    assert await SesMetrics(client).read(None, NOW) == []


async def test_each_hour_of_each_rule_counts(client: Any) -> None:
    failed(client, "PublishFailure", NOW - 2 * HOUR, 2)
    failed(client, "PublishFailure", NOW - 2 * HOUR + 60)
    failed(client, "PublishExpired", NOW - 3 * HOUR)
    failed(client, "PublishFailure", NOW - 2 * HOUR, rule="another")
    failed(client, "Reputation.BounceRate", NOW - 2 * HOUR)
    found = await SesMetrics(client).read(None, NOW)
    assert {trouble.cause for trouble in found} == {Cause.PUBLISHING}
    assert sorted(trouble.detail for trouble in found) == [
        "PublishExpired: 1 within an hour (RuleSetName default, RuleName postamt)",
        "PublishFailure: 1 within an hour (RuleSetName default, RuleName another)",
        "PublishFailure: 3 within an hour (RuleSetName default, RuleName postamt)",
    ]
    assert {trouble.at for trouble in found} == {NOW - 1800 - 2 * HOUR, NOW - 1800 - 3 * HOUR}


async def test_the_same_hour_is_the_same_trouble(client: Any) -> None:
    failed(client, "PublishFailure", NOW - 2 * HOUR)
    first = await SesMetrics(client).read(None, NOW)
    assert await SesMetrics(client).read(NOW - 1800, NOW + HOUR) == first


async def test_an_hour_that_has_not_ended_waits(client: Any) -> None:
    failed(client, "PublishFailure", NOW - 60)
    assert await SesMetrics(client).read(None, NOW) == []
    assert len(await SesMetrics(client).read(NOW, NOW + HOUR)) == 1


async def test_what_came_while_the_box_was_off_is_read(client: Any) -> None:
    failed(client, "PublishExpired", NOW - 5 * 86_400)
    assert await SesMetrics(client).read(NOW - HOUR, NOW) == []
    assert len(await SesMetrics(client).read(NOW - 6 * 86_400, NOW)) == 1


class Refusing:
    """A client that answers every call so, or notes what it was asked."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.trouble = trouble
        self.asked: list[dict[str, Any]] = []

    def list_metrics(self, **request: Any) -> dict[str, Any]:
        if self.trouble:
            raise self.trouble
        return {"Metrics": [{"MetricName": request["MetricName"]}]}

    def get_metric_statistics(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        return {}


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (ClientError({"Error": {"Code": "AccessDenied"}}, "ListMetrics"), MisconfiguredError),
        (EndpointConnectionError(endpoint_url="x"), TryLaterError),
    ],
)
async def test_troubles_are_sentences(trouble: Exception, kind: type[PostamtError]) -> None:
    client: Any = Refusing(trouble)
    with pytest.raises(kind, match="CloudWatch"):
        await SesMetrics(client).read(None, NOW)


@pytest.mark.parametrize(
    ("since", "start"),
    [
        (None, NOW - LOOKED_BACK),
        (NOW - 100 * 86_400, NOW - LOOKED_BACK),
        (NOW - HOUR, NOW - HOUR - LATE),
        (NOW + 86_400, None),  # the clock was set back: nothing can be asked
    ],
)
async def test_what_is_asked_for(since: float | None, start: float | None) -> None:
    client: Any = Refusing()
    await SesMetrics(client).read(since, NOW)
    if start is None:
        assert client.asked == []
    for request in client.asked:
        assert request["StartTime"].timestamp() == start // HOUR * HOUR
        assert request["EndTime"].timestamp() == NOW - 1800
        assert request["Period"] == HOUR
