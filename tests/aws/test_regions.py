"""What AWS offers where, and what is said where it does not."""

from __future__ import annotations

import pytest

from postamt_sync.aws.regions import OPT_IN, RECEIVING, partition_of, refused_region


def test_mail_comes_in_by_the_usual_partition_alone() -> None:
    assert {partition_of(region) for region in RECEIVING | OPT_IN} == {"aws"}
    assert {refused_region(region) for region in RECEIVING} == {None}


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1", "eusc-de-east-1", "mars"])
def test_a_region_of_another_partition_is_refused_plainly(region: str) -> None:
    refused = refused_region(region)
    assert refused is not None
    problem, hint = refused
    assert problem == f"SES receives no mail in {region}."
    assert "eu-west-1" in hint


def test_what_was_typed_is_shown_safely() -> None:
    assert "\x1b" not in str(refused_region("mars\x1b[2J"))
