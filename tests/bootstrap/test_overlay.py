"""What is wanted is compared with what AWS tells, which is more, and laid over it."""

from __future__ import annotations

from typing import Any

import pytest

from postamt_sync.bootstrap.overlay import holds, overlaid

THERE: dict[str, Any] = {
    "Enabled": True,
    "WebACLId": "of-someone",
    "Origins": {
        "Quantity": 2,
        "Items": [
            {"Id": "page", "DomainName": "a", "ConnectionAttempts": 3},
            {"Id": "api", "DomainName": "b", "ConnectionAttempts": 2},
        ],
    },
    "Methods": ["HEAD", "GET"],
}


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"Enabled": True},
        {"Methods": ["GET", "HEAD"]},
        {"Origins": {"Items": [{"Id": "api"}, {"Id": "page", "DomainName": "a"}]}},
    ],
)
def test_what_is_not_named_may_be_anything(wanted: Any) -> None:
    assert holds(THERE, wanted)


@pytest.mark.parametrize(
    "wanted",
    [
        {"Enabled": False},
        {"Comment": "c"},
        {"Methods": ["GET"]},
        {"Methods": ["GET", "HEAD", "POST"]},
        {"Origins": {"Items": [{"Id": "page"}]}},
        {"Origins": {"Items": [{"Id": "page", "DomainName": "b"}, {"Id": "api"}]}},
        {"Enabled": {"of": "another kind"}},
        {"Enabled": ["of another kind"]},
    ],
)
def test_what_is_named_has_to_be_there_and_no_entry_more(wanted: Any) -> None:
    assert not holds(THERE, wanted)


def test_what_others_set_survives_the_overlay() -> None:
    wanted = {"Origins": {"Quantity": 1, "Items": [{"Id": "api", "DomainName": "c"}]}}
    laid = overlaid(THERE, wanted)
    assert laid["WebACLId"] == "of-someone"
    assert laid["Origins"]["Items"] == [{"Id": "api", "DomainName": "c", "ConnectionAttempts": 2}]
    assert holds(laid, wanted)
    assert THERE["Origins"]["Quantity"] == 2


@pytest.mark.parametrize("there", [None, "text", [], {"Origins": None}, {"Origins": {"Items": 1}}])
def test_where_nothing_of_the_kind_is_there_it_is_what_is_wanted(there: Any) -> None:
    wanted = {"Origins": {"Items": [{"Id": "api"}]}}
    assert holds(overlaid(there, wanted), wanted)
