"""Times and ids of the items by which box and cloud know of each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from postamt_sync.mail.seal_table import proof_id, read_time, written_time

TIME = datetime(2026, 11, 28, 14, 44, 47, tzinfo=UTC)


def test_times_are_read_back_in_utc() -> None:
    assert written_time(TIME) == "2026-11-28T14:44:47Z"
    assert written_time(TIME.astimezone(timezone(timedelta(hours=-5)))) == "2026-11-28T14:44:47Z"
    assert read_time("2026-11-28T14:44:47Z") == TIME


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-11-28", "2026-11-28T14:44:47", "2026-13-28T14:44:47Z", f"{TIME}", "9" * 20],
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert read_time(text) is None


def test_a_set_of_keys_has_one_proof_whatever_its_order() -> None:
    assert proof_id(["AA", "bb"]) == proof_id(["BB", "aa", "AA"])
    assert proof_id(["AA"]) != proof_id(["AA", "BB"])
    assert proof_id(["AABB"]) != proof_id(["AA", "BB"])
