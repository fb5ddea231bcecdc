from __future__ import annotations

import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.bootstrap.dns.record import Purpose, Record, parsed, said, text_rdata


def record(value: str) -> Record:
    return Record("example.com", Purpose.SPF, "example.com", "TXT", value, "A note.")


@pytest.mark.parametrize(
    ("text", "lengths"),
    [("", [0]), ("a", [1]), ("a" * 255, [255]), ("a" * 256, [255, 1]), ("ä" * 300, [255, 255, 90])],
)
def test_long_texts_become_strings_of_255_bytes(text: str, lengths: list[int]) -> None:
    rdata = text_rdata(text)
    assert [len(s) for s in rdata.strings] == lengths
    assert said(rdata) == text


@pytest.mark.slow
@given(st.text(st.characters(codec="utf-8")))
def test_whatever_a_text_holds_is_read_back_from_what_is_written(text: str) -> None:
    data = record(text).data
    assert "\n" not in data
    assert said(parsed("TXT", data)) == text


@given(st.text(st.characters(codec="utf-8"), max_size=600))
def test_it_travels_in_a_message(text: str) -> None:
    answer = dns.message.Message()
    answer.answer.append(dns.rrset.from_rdata("example.com.", 60, record(text).rdata))
    (seen,) = dns.message.from_wire(answer.to_wire()).answer[0]
    assert said(seen) == text


def test_names_compare_without_case() -> None:
    assert parsed("MX", "10 A.example.") == parsed("MX", "10 a.EXAMPLE.")


def test_what_is_no_text_is_shown_anyway() -> None:
    assert said(parsed("TXT", r'"a\255" "b"')) == "a\N{REPLACEMENT CHARACTER}b"
    assert said(parsed("MX", "10 a.example.")) == "10 a.example."
