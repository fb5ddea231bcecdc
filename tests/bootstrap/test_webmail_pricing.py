"""The webmail costs next to nothing, and nothing at all while nobody reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postamt_sync.bootstrap.pricing import Usage, bill
from postamt_sync.bootstrap.webmail_pricing import webmail_items

HUNDRED = Usage(mails_per_day=100)
SERVICES = {
    *("CloudFront", "API Gateway", "Lambda", "DynamoDB", "S3", "SSM", "KMS", "ACM"),
    *("Route 53", "CloudWatch"),
}


def beside_the_stack(usage: Usage) -> float:
    """Return what it adds to the bill, with the lists that are kept for it."""
    without = bill(replace(usage, webmail_hours=None))
    lists = sum(i.usd for i in without.items if i.what == "writes, lists")
    return bill(usage).usd - without.usd + lists


@pytest.mark.parametrize("hours", [0, 1, 10, 30])
def test_it_is_under_ten_cents_a_month(hours: float) -> None:
    assert beside_the_stack(replace(HUNDRED, webmail_hours=hours, sent_per_day=5)) < 0.10


def test_while_nobody_reads_nothing_of_it_costs() -> None:
    assert sum(i.usd for i in webmail_items(0)) == 0


def test_each_service_is_named_item_by_item() -> None:
    assert {i.service for i in webmail_items(10)} == SERVICES
    names = [(i.service, i.what) for i in webmail_items(10)]
    assert len(names) == len(set(names))
    assert bill(HUNDRED).usd < bill(replace(HUNDRED, webmail_hours=10)).usd


def test_it_is_counted_only_where_it_is_wanted() -> None:
    assert not {i.service for i in bill(HUNDRED).items} & {"CloudFront", "SSM", "ACM"}


def test_more_reading_never_costs_less() -> None:
    costs = [beside_the_stack(replace(HUNDRED, webmail_hours=hours)) for hours in range(0, 744, 31)]
    assert costs == sorted(costs)


def test_what_is_free_is_not_taken_twice() -> None:
    """The stack's index function may have used it up already."""
    of_lambda = [i for i in webmail_items(10) if i.service in {"Lambda", "CloudWatch"}]
    assert all(i.price.free == 0 for i in of_lambda)
