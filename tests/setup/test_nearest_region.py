from __future__ import annotations

import pytest

from postamt_sync.aws.regions import OPT_IN, RECEIVING
from postamt_sync.setup.nearest_region import FALLBACK, PLACES, nearest_region, read_region


@pytest.mark.parametrize(
    ("zone", "region"),
    [
        ("Europe/Berlin", "eu-central-1"),
        (":Europe/Dublin", "eu-west-1"),
        ("America/Los_Angeles", "us-west-1"),
        ("Australia/Perth", "ap-southeast-2"),
        ("Africa/Johannesburg", "eu-west-3"),
        ("UTC", FALLBACK),
        ("nonsense/../../etc", FALLBACK),
    ],
)
def test_the_time_zone_says_which_is_near(zone: str, region: str) -> None:
    found = nearest_region({"TZ": zone})
    assert found in RECEIVING - OPT_IN
    if zone != "Africa/Johannesburg":  # whichever: none is near
        assert found == region


def test_where_the_clock_keeps_utc_it_is_the_region_one_is_in() -> None:
    assert nearest_region({"TZ": "UTC", "AWS_REGION": "us-east-2"}) == "us-east-2"
    assert nearest_region({"TZ": "UTC", "AWS_REGION": "eu-central-2"}) == FALLBACK


def test_every_region_that_receives_has_a_place() -> None:
    assert set(PLACES) == RECEIVING


@pytest.mark.parametrize("typed", ["eu-west-1", "EU-WEST-1 ", "eu-west-1b", "Ireland", "ireland"])
def test_a_region_has_several_names(typed: str) -> None:
    assert read_region(typed) == "eu-west-1"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("us east 1", "us-east-1"),
        ("EU_WEST_1", "eu-west-1"),
        ("Europe (Frankfurt) eu-central-1", "eu-central-1"),
        ("US East (N. Virginia)", "us-east-1"),
        ("Frankfurt, Germany", "eu-central-1"),
        ("https://eu-west-2.console.aws.amazon.com/", "eu-west-2"),
    ],
)
def test_a_region_is_found_in_what_people_paste(typed: str, meant: str) -> None:
    assert read_region(typed) == meant


@pytest.mark.parametrize("typed", ["", "eu-west-1 eu-west-2", "us-gov-west-1", "xeu-west-1"])
def test_what_names_none_or_several_is_asked_again(typed: str) -> None:
    with pytest.raises(ValueError, match="As in: "):
        read_region(typed)


@pytest.mark.parametrize(("typed", "meant"), [("eu-west1", "eu-west-1"), ("Frankfort", "eu-cent")])
def test_what_receives_nothing_is_answered_with_what_was_meant(typed: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"As in: {meant}"):
        read_region(typed)
