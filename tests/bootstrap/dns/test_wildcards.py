"""What a wildcard or an alias answers is told from a record, and a zone takes what is exported."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from postamt_sync.bootstrap.dns.dns_check import DnsFinding, DnsVerdict
from postamt_sync.bootstrap.dns.record import Purpose, Record, zone_file
from postamt_sync.cli.bootstrap.dns import in_the_way
from tests.bootstrap.a_stack import the, wanted
from tests.bootstrap.dns.name_server import IMPATIENCE, PATIENCE, look, publish
from tests.doubles.dns import Fault, NameServer

RECEIVE = "10 inbound-smtp.eu-west-1.amazonaws.com."
AUTHORITY = "example.com. 60 IN SOA ns.example.net. a.example.net. 1 2 3 4 5\n"


def exported(findings: Sequence[DnsFinding]) -> list[str]:
    text = zone_file([f.record for f in findings], in_the_way(findings))
    return [line for line in text.splitlines() if line and not line.startswith(";")]


def refused_by_bind(path: Path, there: Sequence[str], lines: Sequence[str]) -> str:
    checker = shutil.which("named-checkzone")
    if checker is None:
        pytest.skip("named-checkzone is not installed: sudo apt install bind9-utils")
    servers = "example.com. 60 IN NS ns.example.net.\nhome.example.com. 60 IN A 192.0.2.1\n"
    path.write_text(AUTHORITY + servers + "".join(f"{line}\n" for line in (*there, *lines)))
    # Where an MX leads within the zone is the tests' invention.
    done = subprocess.run(
        [checker, "-i", "none", "example.com", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode else ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("MX", RECEIVE),  # ours, for the mail of subdomains
        ("MX", "10 feedback-smtp.eu-west-1.amazonses.com."),  # just what is to be there
        ("MX", "10 mx.provider.example."),
        ("TXT", '"v=spf1 include:amazonses.com ~all"'),
        ("TXT", '"v=DMARC1; p=none"'),
        ("TXT", '"anything"'),
        ("CNAME", "parking.example.net."),
        ("CNAME", "aaa111.dkim.amazonses.com."),
        ("SRV", "0 1 993 home.example.com."),
        ("A", "192.0.2.80"),
    ],
)
@pytest.mark.parametrize("target_exists", [True, False])
async def test_what_a_wildcard_answers_is_missing_and_exported(
    server: NameServer, kind: str, data: str, target_exists: bool, tmp_path: Path
) -> None:
    server.add("example.com", "SOA", "ns.example.net. a.example.net. 1 2 3 4 5")
    server.add("*.example.com", kind, data)
    if target_exists:
        server.add("parking.example.net", "TXT", '"v=spf1 -all"', '"v=DMARC1; p=reject"')
        server.add("parking.example.net", "MX", "10 mx.example.net.")
    findings = await look(server, *wanted())
    assert {f.verdict for f in findings} == {DnsVerdict.MISSING}
    lines = exported(findings)
    assert len(lines) == len(wanted())
    assert not refused_by_bind(tmp_path / "zone", [f"*.example.com. 60 IN {kind} {data}"], lines)
    told = [f for f in findings if "wildcard" in f.problem]
    assert {f.record.type for f in told} <= (
        {kind} if kind != "CNAME" else {f.record.type for f in findings}
    )
    assert all("*." in f.problem for f in told)


async def test_a_record_that_says_the_same_as_the_wildcard_is_seen(server: NameServer) -> None:
    records = wanted(domains=("example.com", "sub.example.com"), subdomains=("example.com",))
    star = next(r for r in records if r.name == "*.example.com")
    publish(server, *(r for r in records if r.name != "sub.example.com"))
    (own, above) = await look(server, the_mx_of("sub.example.com", records), star)
    # There are names below sub.example.com by now: its mail comes no more.
    assert own.verdict is DnsVerdict.MISSING
    assert above.verdict is DnsVerdict.SEEN
    publish(server, *records)
    assert {f.verdict for f in await look(server, *records)} == {DnsVerdict.SEEN}


async def test_a_subdomain_that_only_the_own_wildcard_brings_mail_to(server: NameServer) -> None:
    records = wanted(domains=("example.com", "sub.example.com"), subdomains=("example.com",))
    server.add("*.example.com", "MX", RECEIVE)
    (own,) = await look(server, the_mx_of("sub.example.com", records))
    assert own.verdict is DnsVerdict.MISSING
    assert "*.example.com" in own.problem
    server.add("sub.example.com", "MX", RECEIVE)
    (own,) = await look(server, own.record)
    assert own.verdict is DnsVerdict.SEEN


async def test_a_wildcard_further_up_and_one_of_the_own(server: NameServer) -> None:
    records = wanted(domains=("sub.example.com",), subdomains=("sub.example.com",))
    mx, star = (r for r in records if r.purpose is Purpose.RECEIVE)
    server.add("*.example.com", "MX", RECEIVE)
    assert [f.verdict for f in await look(server, mx, star)] == [DnsVerdict.MISSING] * 2
    publish(server, star)
    assert [f.verdict for f in await look(server, mx, star)] == [
        DnsVerdict.MISSING,
        DnsVerdict.SEEN,
    ]
    publish(server, mx)
    assert [f.verdict for f in await look(server, mx, star)] == [DnsVerdict.SEEN] * 2


async def test_a_wildcard_just_above_the_record(server: NameServer) -> None:
    dkim, imap = the(Purpose.DKIM), the(Purpose.IMAP)
    server.add("*._domainkey.example.com", "CNAME", "x.provider.example.")
    server.add("*._tcp.example.com", "SRV", imap.data)
    assert [f.verdict for f in await look(server, dkim, imap)] == [DnsVerdict.MISSING] * 2
    publish(server, dkim, imap)
    assert [f.verdict for f in await look(server, dkim, imap)] == [DnsVerdict.SEEN] * 2


async def test_a_wildcard_does_not_look_like_a_doubled_domain(server: NameServer) -> None:
    record = the(Purpose.DMARC)
    server.add("example.com", "A", "192.0.2.1")
    server.add("*.com.example.com", "TXT", record.data)
    (finding,) = await look(server, record)
    assert finding.verdict is DnsVerdict.MISSING
    assert "twice" not in finding.problem


@pytest.mark.parametrize("fault", [Fault.SERVFAIL, Fault.REFUSED])
async def test_where_siblings_cannot_be_asked_the_answer_is_believed(
    server: NameServer, fault: Fault
) -> None:
    record = the(Purpose.DMARC)
    publish(server, record)
    server.other_names = fault
    (finding,) = await look(server, record, seconds=IMPATIENCE)
    assert finding.verdict is DnsVerdict.SEEN


@pytest.mark.slow
@pytest.mark.parametrize("purpose", [p for p in Purpose if the(p).type != "CNAME"])
@pytest.mark.parametrize(
    "at_its_end", ["nothing", "no name", "a loop", "silence", "something else"]
)
async def test_a_cname_where_another_type_must_go_is_told_and_keeps_the_record_out(
    server: NameServer, purpose: Purpose, at_its_end: str, tmp_path: Path
) -> None:
    record = the(purpose)
    target = record.name if at_its_end == "a loop" else "host.provider.example"
    server.add(record.name, "CNAME", f"{target}.")
    match at_its_end:
        case "nothing":
            server.add(target, "A", "192.0.2.1")
        case "silence":
            server.unanswered.add((record.name, record.type))
        case "something else":
            server.add(target, "TXT", '"v=spf1 -all"', '"v=DMARC1"')
            server.add(target, "MX", "10 mx.example.net.")
            server.add(target, "SRV", "0 1 993 imap.example.net.")
    (finding,) = await look(
        server, record, seconds=IMPATIENCE if at_its_end == "silence" else PATIENCE
    )
    assert "CNAME" in finding.problem
    assert target in finding.problem
    assert finding.verdict in {DnsVerdict.DIFFERENT, DnsVerdict.WILL_DO}
    assert exported([finding]) == []
    there = [f"{record.name}. 60 IN CNAME {target}."]
    if record.name != "example.com":
        assert not refused_by_bind(tmp_path / "zone", there, exported([finding]))
        alone = f"{record.absolute_name} 60 IN {record.type} {record.data}"
        assert "CNAME and other data" in refused_by_bind(tmp_path / "zone", there, [alone])


@pytest.mark.parametrize("purpose", [Purpose.DMARC, Purpose.MAIL_FROM, Purpose.MAIL_FROM_SPF])
async def test_a_cname_that_leads_to_the_very_record_will_do(
    server: NameServer, purpose: Purpose
) -> None:
    record = the(purpose)
    server.add(record.name, "CNAME", "host.provider.example.")
    publish(server, replace(record, name="host.provider.example"))
    (finding,) = await look(server, record)
    assert finding.verdict is DnsVerdict.WILL_DO
    assert finding.well
    assert "CNAME" in finding.problem
    assert exported([finding]) == []


@pytest.mark.parametrize(
    ("kind", "data"),
    [("TXT", '"v=DKIM1; p=x"'), ("A", "192.0.2.1"), ("AAAA", "2001:db8::1"), ("MX", "5 mx.")],
)
async def test_anything_where_our_cname_must_stand_alone(
    server: NameServer, kind: str, data: str, tmp_path: Path
) -> None:
    record = the(Purpose.DKIM)
    server.add(record.name, kind, data)
    (finding,) = await look(server, record)
    assert finding.verdict is DnsVerdict.DIFFERENT
    assert kind in finding.problem
    there = [f"{record.name}. 60 IN {kind} {data}"]
    assert not refused_by_bind(tmp_path / "zone", there, exported([finding]))


def the_mx_of(name: str, records: tuple[Record, ...]) -> Record:
    return next(r for r in records if (r.name, r.type) == (name, "MX"))
