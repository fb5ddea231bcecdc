from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from postamt_sync.bootstrap.dns.dns_check import DnsFinding, DnsVerdict, check_record
from postamt_sync.bootstrap.dns.record import Record, parsed
from postamt_sync.cli.bootstrap.dns_table import as_json, show
from tests.bootstrap.household import wanted


def shown(records: tuple[Record, ...], dns_findings: tuple[DnsFinding, ...] | None) -> list[str]:
    out = io.StringIO()
    show(records, dns_findings, Console(file=out, width=80, highlight=False))
    return out.getvalue().splitlines()


def test_names_and_values_can_be_copied_in_one_piece() -> None:
    token = "abcdefghijklmnopqrstuvwxyz234567"  # as long as SES's
    records = tuple(
        replace(
            record,
            name=record.name.replace("aaa111", token),
            value=record.value.replace("aaa111", token),
        )
        for record in wanted()
    )
    for dns_findings in (None, tuple(DnsFinding(r, DnsVerdict.MISSING) for r in records)):
        message = " ".join(shown(records, dns_findings)).split()
        for record in records:
            assert record.name in message
            assert set(record.data.split()) <= set(message)


def test_only_trouble_gets_a_sentence() -> None:
    records = wanted()[:2]
    mx = check_record(records[0], [parsed("MX", "10 mx.example.net.")])
    lines = shown(records, (mx, check_record(records[1], [])))
    assert [line.split()[-1] for line in lines if line.startswith(("MX", "CNAME"))] == [
        "different",
        "missing",
    ]
    message = " ".join(" ".join(lines).split())
    assert "leads to mx.example.net, not to SES. It should be: example.com MX 10 inbound" in message
    assert "is missing" not in message


def test_json_says_null_where_nobody_looked() -> None:
    assert {r["now"] for r in as_json(wanted(), None)} == {None}
    seen = tuple(DnsFinding(r, DnsVerdict.SEEN, (r.data,)) for r in wanted())
    assert [r["seen"] for r in as_json(wanted(), seen)] == [[r.data] for r in wanted()]


@pytest.mark.parametrize("optional", [True, False])
def test_it_says_without_which_mail_still_flows(optional: bool) -> None:
    record = next(r for r in wanted() if r.optional is optional)
    assert ("(optional)" in " ".join(shown((record,), None))) is optional
