from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import dns.message
import dns.name
import dns.rrset
import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.bootstrap.dns.record import (
    WIDTH,
    Purpose,
    Record,
    parsed,
    said,
    text_rdata,
    zone_file,
)
from tests.bootstrap.a_stack import the, wanted


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


@pytest.mark.slow
@given(st.text(st.characters(codec="utf-8"), max_size=600))
def test_a_text_survives_the_wire_format(text: str) -> None:
    answer = dns.message.Message()
    answer.answer.append(dns.rrset.from_rdata("example.com.", 60, record(text).rdata))
    (seen,) = dns.message.from_wire(answer.to_wire()).answer[0]
    assert said(seen) == text


def test_names_compare_without_case() -> None:
    assert parsed("MX", "10 A.example.") == parsed("MX", "10 a.EXAMPLE.")


def test_what_is_no_text_is_shown_anyway() -> None:
    assert said(parsed("TXT", r'"a\255" "b"')) == "a\N{REPLACEMENT CHARACTER}b"
    assert said(parsed("MX", "10 a.example.")) == "10 a.example."


def read(text: str, origin: str = "example.com") -> set[tuple[str, str, str, int]]:
    zone = dns.zone.from_text(text, origin, check_origin=False, relativize=False)
    return {
        (name.to_text(), dns.rdatatype.to_text(rdata.rdtype), rdata.to_text(), ttl)
        for name, ttl, rdata in zone.iterate_rdatas()
    }


def as_read(*records: Record) -> set[tuple[str, str, str, int]]:
    return {(f"{r.name}.", r.type, r.data, r.ttl) for r in records}


@pytest.mark.parametrize("origin", ["example.com", "com", "."])
def test_a_reader_finds_every_record_whatever_zone_it_reads(origin: str) -> None:
    assert read(zone_file(wanted()), origin) == as_read(*wanted())


def test_several_domains_in_one_file() -> None:
    both = wanted(domains=("example.com", "xn--bcher-kva.com"))
    text = zone_file(both)
    assert read(text, "com") == as_read(*both)
    assert "; The mail of xn--bcher-kva.com\n" in text


def test_what_cannot_stand_beside_another_is_left_out_with_the_reason() -> None:
    mx, spf = the(Purpose.RECEIVE), the(Purpose.SPF)
    text = zone_file(wanted(), {mx: "Mail goes to mx.example.net now.", spf: "There is one."})
    assert read(text) == as_read(*wanted()) - as_read(mx, spf)
    assert "; LEFT OUT: Mail goes to mx.example.net now.\n; example.com.\t3600\tIN\tMX" in text


def test_no_foreign_text_becomes_a_record() -> None:
    mx = the(Purpose.RECEIVE)
    evil = "x\nexample.com. 1 IN MX 0 evil.example.\r\x1b[31m\u2028"
    text = zone_file([replace(mx, note=evil)], {mx: evil})
    assert read(text) == as_read(mx)
    assert "\x1b" not in text
    left_out = zone_file([mx], {mx: evil})
    assert not [line for line in left_out.splitlines() if line and not line.startswith(";")]


def test_records_with_one_purpose_are_explained_once() -> None:
    text = zone_file(wanted(domains=("example.com", "example.org")))
    assert text.count("Proves the domain to SES") == 2


def test_comments_fit_80_columns() -> None:
    text = zone_file(wanted(), {the(Purpose.SPF): "There is one. " * 20})
    comments = [line for line in text.splitlines() if line.startswith("; ") and "\t" not in line]
    assert len(comments) > 12
    assert max(map(len, comments)) <= WIDTH


def test_bind_accepts_the_zone_file(tmp_path: Path) -> None:
    checker = shutil.which("named-checkzone")
    if checker is None:
        pytest.skip("named-checkzone is not installed")
    path = tmp_path / "zone"
    authority = (
        "example.com. 60 IN SOA ns.example.net. a.example.net. 1 2 3 4 5\n"
        "example.com. 60 IN NS ns.example.net.\nhome.example.com. 60 IN A 192.0.2.1\n"
    )
    path.write_text(authority + zone_file(wanted()))
    done = subprocess.run(
        [checker, "example.com", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
