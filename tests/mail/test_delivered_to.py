"""The field Delivered-To, whatever the addresses are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.mail.delivered_to import LONGEST_ADDRESS, delivered_to


@pytest.mark.parametrize(
    ("addresses", "field"),
    [
        ([], b""),
        (["anna@example.com"], b"Delivered-To: anna@example.com\r\n"),
        ([" <anna+shop@example.com> "], b"Delivered-To: anna+shop@example.com\r\n"),
        (
            ["a@x.example", "b@x.example"],
            b"Delivered-To: a@x.example\r\nDelivered-To: b@x.example\r\n",
        ),
        (["j\u00f6rg@x.example"], b"Delivered-To: j\xc3\xb6rg@x.example\r\n"),
    ],
)
def test_names_each_address(addresses: list[str], field: bytes) -> None:
    assert delivered_to(addresses) == field


@pytest.mark.parametrize(
    "address",
    [
        "",
        "anna",
        "a@x\r\nX-Evil: y",
        "a@x\ny",
        "a b@x",
        "a@x\0",
        "a@x\u2028y",
        "a@\ud800",
        "a\u202e@x",
        "x" * LONGEST_ADDRESS + "@x",
    ],
)
def test_leaves_out_what_could_be_more_than_an_address(address: str) -> None:
    assert delivered_to([address, "b@x.example"]) == b"Delivered-To: b@x.example\r\n"


@given(st.lists(st.text(max_size=30).map(lambda text: f"a@{text}"), max_size=4))
def test_is_whole_lines_of_one_field(addresses: list[str]) -> None:
    lines = delivered_to(addresses).split(b"\r\n")
    assert lines.pop() == b""
    for line in lines:
        assert line.startswith(b"Delivered-To: a@")
        assert not set(line) & set(b"\r\n\0")
