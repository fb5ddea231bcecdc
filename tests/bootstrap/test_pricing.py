from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.aws import prices
from postamt_sync.aws.prices import Price
from postamt_sync.bootstrap.bill import DAYS, Bill, BillItem
from postamt_sync.bootstrap.pricing import Usage, bill
from tests.support.documentation import documentation

HUNDRED = Usage(mails_per_day=100)


def item(what: str, usage: Usage = HUNDRED) -> BillItem:
    (found,) = [i for i in bill(usage).items if f"{i.service}, {i.what}" == what]
    return found


def names(found: Bill) -> set[str]:
    return {f"{i.service}, {i.what}" for i in found.items}


def test_what_is_free_costs_nothing() -> None:
    price = Price(0.60, 1_000_000, free=100_000)
    assert price.of(100_000) == 0
    assert price.of(1_100_000) == pytest.approx(0.60)


@pytest.mark.parametrize(
    ("what", "quantity", "usd"),
    [
        # A month has 30.4375 days, so 3043.75 mails, and 8766 polls.
        ("SES, mail received", 3043.75, 0.304375),
        ("SES, data received", 3043.75, 0.2739375),
        ("S3, PUT, by SES", 6087.5, 0.0304375),
        ("S3, GET", 6087.5, 0.002435),
        ("S3, LIST, poll", 2 * 8766, 0.08766),
        ("S3, LIST, daily, all", 37 * DAYS, 0.005630938),
        ("SNS, published", 6087.5, 0),
        ("SNS, to the webhook", 6087.5, 0),
        ("SQS, queues", 3 * 6087.5 + 2 * 8766, 0),
        ("Lambda, runs", 6087.5, 0),
        ("DynamoDB, writes", 24350, 0.01521875),
        ("DynamoDB, reads", 6087.5, 0.0007609375),
        ("CloudWatch, metrics read", 1461, 0.01461),
    ],
)
def test_a_hundred_mails_a_day_for_a_year(what: str, quantity: float, usd: float) -> None:
    assert item(what).quantity == pytest.approx(quantity)
    assert item(what).usd == pytest.approx(usd, abs=1e-6)


def test_small_mails_stay_in_standard_for_good() -> None:
    stored = item("S3, storage, Standard")
    assert stored.quantity == pytest.approx(100 * (365.25 + 14) * 75 / 1024**2)
    assert "S3, storage, IA" not in names(bill(HUNDRED))


def test_mails_of_128_kb_move_to_glacier_ir() -> None:
    large = replace(HUNDRED, mail_kb=128, years=10)
    a_day = 100 * 128 / 1024**2
    assert item("S3, storage, Standard", large).quantity == pytest.approx(44 * a_day)
    assert item("S3, storage, IA", large).quantity == pytest.approx(60 * a_day)
    assert item("S3, storage, Glacier IR", large).quantity == pytest.approx((3652.5 - 90) * a_day)
    assert item("S3, move to Glacier IR", large).quantity == large.mails


def test_nothing_has_moved_on_in_the_first_days() -> None:
    young = Usage(100, mail_kb=200, years=20 / 365.25)
    a_day = 100 * 200 / 1024**2
    assert item("S3, storage, Standard", young).quantity == pytest.approx((20 + 14) * a_day)
    assert item("S3, storage, IA", young).quantity == 0
    assert not {"S3, move to IA", "S3, move to Glacier IR"} & names(bill(young))


def test_a_poll_of_the_recent_mail_does_not_grow_with_the_archive() -> None:
    def poll(**changes: object) -> float:
        return item("S3, LIST, poll", replace(HUNDRED, **changes)).usd  # type: ignore[arg-type]

    assert poll(years=20) == poll(years=1)
    (spared,) = bill(replace(HUNDRED, years=20)).spared
    assert spared.quantity == 8766 * 731
    everything = bill(replace(HUNDRED, years=20, recent=False))
    assert everything.spared == ()
    (listed,) = [i for i in everything.items if i.what == "LIST, poll, all"]
    assert listed.usd == spared.usd
    without_recent = item("S3, PUT, by SES", replace(HUNDRED, recent=False))
    assert without_recent.quantity == HUNDRED.mails


def test_what_is_spared_is_not_in_the_sum() -> None:
    found = bill(HUNDRED)
    assert found.usd == pytest.approx(sum(i.usd for i in found.items))
    assert found.usd < 1 < sum(i.usd for i in found.spared)


def test_without_a_webhook_the_queue_is_asked_all_the_time() -> None:
    waiting = replace(HUNDRED, webhook=False)
    assert "SNS, to the webhook" not in names(bill(waiting))
    assert item("SQS, queues", waiting).quantity == pytest.approx(3 * 6087.5 + 131_490)


def test_chunks_are_counted_as_begun() -> None:
    assert item("SES, data received", replace(HUNDRED, mail_kb=256)).quantity == 3043.75
    assert item("SES, data received", replace(HUNDRED, mail_kb=257)).quantity == 2 * 3043.75


def test_sending_is_counted_where_someone_sends() -> None:
    assert "SES, mail sent" not in names(bill(HUNDRED))
    assert item("SES, mail sent", replace(HUNDRED, sent_per_day=10)).usd == pytest.approx(0.0487)


@given(st.floats(0, 1e6), st.floats(0.1, 40960), st.floats(0.1, 100), st.booleans(), st.booleans())
def test_more_never_costs_less(
    mails: float, kb: float, years: float, webhook: bool, recent: bool
) -> None:
    def usd(**changes: float) -> float:
        found = bill(replace(usage, **changes))  # type: ignore[arg-type]
        assert all(i.usd >= 0 and i.quantity >= 0 for i in found.items)
        return found.usd

    usage = Usage(mails, kb, years, 0, 300, webhook, recent)
    assert usd(mails_per_day=mails * 2) >= usd() - 1e-9
    assert usd(years=years * 2) >= usd() - 1e-9
    assert usd(sent_per_day=5) > usd()


def test_what_nobody_verified_is_marked() -> None:
    unverified = {i.what for i in bill(replace(HUNDRED, mail_kb=200)).items if not i.price.verified}
    assert {"data received", "storage, Glacier IR", "metrics read"} <= unverified
    assert prices.SES_RECEIVED.verified


def test_json_is_the_same_bill() -> None:
    found = bill(HUNDRED)
    shown = found.as_json()
    assert shown["usd"] == pytest.approx(found.usd, abs=1e-6)
    assert sum(i["usd"] for i in shown["items"]) == pytest.approx(shown["usd"], abs=1e-4)
    (spared,) = shown["spared"]
    assert spared == {
        "service": "S3",
        "what": "LIST, poll, all",
        "quantity": 324342,
        "unit": "requests",
        "free": 0,
        "price": 0.005,
        "per": 1000.0,
        "verified": True,
        "usd": 1.62171,
        "note": "What each poll would cost that lists everything.",
    }


def test_what_the_readme_says_of_polls_is_what_the_bill_says() -> None:
    readme = documentation()
    told = re.search(
        r"cost (\d+) cents at (\d+) mails a day,\s+however much is archived; without it, "
        r"([\d.]+) dollars at ([\d,]+) mails and ([\d.]+) at a million",
        readme,
    )
    assert told
    for years in (1, 10, 50):
        recent = bill(Usage(float(told[2]), years=years))
        (polls,) = [item for item in recent.items if item.what == "LIST, poll"]
        assert f"{100 * polls.usd:.0f}" == told[1]
    for dollars, mails in ((told[3], int(told[4].replace(",", ""))), (told[5], 1_000_000)):
        usage = Usage(mails / Usage(1, years=1).archive_days, years=1, recent=False)
        (polls,) = [item for item in bill(usage).items if item.what == "LIST, poll, all"]
        assert f"{polls.usd:.2f}" == dollars
