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


async def test_each_hour_of_our_rule_counts(client: Any) -> None:
    failed(client, "PublishFailure", NOW - 2 * HOUR, 2)
    failed(client, "PublishFailure", NOW - 2 * HOUR + 60)
    failed(client, "PublishExpired", NOW - 3 * HOUR)
    failed(client, "PublishFailure", NOW - 2 * HOUR, rule="another")
    failed(client, "Reputation.BounceRate", NOW - 2 * HOUR)
    found = await SesMetrics(client).read(None, NOW)
    assert {trouble.cause for trouble in found} == {Cause.PUBLISHING}
    assert sorted(trouble.detail for trouble in found) == [
        "PublishExpired: 1 within an hour (rule postamt)",
        "PublishFailure: 3 within an hour (rule postamt)",
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


Dimensions = tuple[tuple[str, str], ...]
Counted = dict[Dimensions, dict[float, float]]
"""By the set of dimensions and by the hour (seconds since 1970)."""

ACTIVE = (("RuleSetName", "[Active]"),)
SET = (("RuleSetName", "default"),)
OURS = (("RuleName", "mail-1"),)
OURS_IN_SET = (("RuleSetName", "default"), ("RuleName", "mail-1"))
OURS_IN_ACTIVE = (("RuleName", "mail-1"), ("RuleSetName", "[Active]"))
THEIRS = (("RuleName", "mail-10"),)
AT = NOW // HOUR * HOUR - 2 * HOUR


class Counting:
    """CloudWatch with these failures; lists one metric a page, and all where it minds no filter."""

    def __init__(self, counted: Counted, *, filters: bool = True) -> None:
        self._counted, self._filters = counted, filters

    def list_metrics(self, **request: Any) -> dict[str, Any]:
        wanted = {(d["Name"], d["Value"]) for d in request["Dimensions"]}
        every = [d for d in self._counted if not self._filters or wanted <= set(d)]
        nth = int(request.get("NextToken", "0"))
        page = {"Metrics": [{"Dimensions": _named(d)} for d in every[nth : nth + 1]]}
        return page | ({"NextToken": f"{nth + 1}"} if nth + 1 < len(every) else {})

    def get_metric_statistics(self, **request: Any) -> dict[str, Any]:
        if request["MetricName"] != "PublishFailure":
            return {"Datapoints": []}
        asked = tuple((d["Name"], d["Value"]) for d in request["Dimensions"])
        return {
            "Datapoints": [
                {"Timestamp": dt.datetime.fromtimestamp(at, dt.UTC), "Sum": count}
                for at, count in self._counted[asked].items()
            ]
        }


def _named(dimensions: Dimensions) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in dimensions]


@pytest.mark.parametrize("filters", [True, False])
@pytest.mark.parametrize(
    ("counted", "told"),
    [
        ({ACTIVE: {AT: 5}, SET: {AT: 5}, OURS: {AT: 2}}, [(AT, 2)]),
        ({ACTIVE: {AT: 2}, SET: {AT: 2}, OURS_IN_SET: {AT: 2}}, [(AT, 2)]),
        ({OURS: {AT: 2}, OURS_IN_SET: {AT: 2}, OURS_IN_ACTIVE: {AT: 2}}, [(AT, 2)]),
        ({OURS_IN_ACTIVE: {AT: 1}, OURS: {AT: 3, AT - HOUR: 1}}, [(AT - HOUR, 1), (AT, 3)]),
        ({OURS_IN_SET: {AT: 1}, OURS_IN_ACTIVE: {AT - HOUR: 4}}, [(AT - HOUR, 4), (AT, 1)]),
        ({ACTIVE: {AT: 5}, SET: {AT: 5}, THEIRS: {AT: 5}}, []),
        ({THEIRS: {AT: 5}, OURS: {AT: 0}}, []),
        ({ACTIVE: {AT: 1}, (): {AT: 1}}, []),
    ],
)
async def test_our_rule_counts_once_and_others_never(
    counted: Counted, told: list[tuple[float, float]], *, filters: bool
) -> None:
    client: Any = Counting(counted, filters=filters)
    found = await SesMetrics(client, "mail-1").read(None, NOW)
    assert [(each.at, each.detail) for each in found] == [
        (at, f"PublishFailure: {count} within an hour (rule mail-1)") for at, count in told
    ]


async def test_a_list_without_an_end_is_given_up() -> None:
    class Endless(Counting):
        def list_metrics(self, **_: Any) -> dict[str, Any]:
            return {"Metrics": [{"Dimensions": _named(THEIRS)}], "NextToken": "again"}

    client: Any = Endless({})
    assert await SesMetrics(client, "mail-1").read(None, NOW) == []


class Refusing:
    """A client that answers every call so, or notes what it was asked."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.trouble = trouble
        self.asked: list[dict[str, Any]] = []

    def list_metrics(self, **request: Any) -> dict[str, Any]:
        if self.trouble:
            raise self.trouble
        return {"Metrics": [{"Dimensions": request["Dimensions"]}]}

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
async def test_whole_hours_are_asked_for_since_the_last_look(
    since: float | None, start: float | None
) -> None:
    client: Any = Refusing()
    await SesMetrics(client).read(since, NOW)
    assert len(client.asked) == (0 if start is None else 2)
    for request in client.asked:
        assert request["StartTime"].timestamp() == start // HOUR * HOUR
        assert request["EndTime"].timestamp() == NOW - 1800
        assert request["Period"] == HOUR
