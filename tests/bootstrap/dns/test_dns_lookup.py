from __future__ import annotations

import pytest

from postamt_sync.bootstrap.dns.dns_check import DnsVerdict, WhyMissing
from postamt_sync.bootstrap.dns.dns_lookup import look_up, resolver_at
from postamt_sync.bootstrap.dns.record import Purpose
from postamt_sync.errors import UsageError
from tests.bootstrap.a_stack import the, wanted
from tests.bootstrap.dns.name_server import IMPATIENCE, PATIENCE, look, publish
from tests.doubles.dns import Fault, NameServer


async def test_records_that_are_published_are_seen(server: NameServer) -> None:
    publish(server, *wanted())
    dns_findings = await look(server, *wanted())
    assert [s.record for s in dns_findings] == list(wanted())
    assert {s.verdict for s in dns_findings} == {DnsVerdict.SEEN}
    assert all(s.well and s.seen and not s.problem for s in dns_findings)


async def test_records_that_are_not_published_are_missing(server: NameServer) -> None:
    server.add("example.com", "SOA", "ns.example.net. a.example.net. 1 2 3 4 5")
    dns_findings = await look(server, *wanted())
    assert {s.verdict for s in dns_findings} == {DnsVerdict.MISSING}
    assert [s.record for s in dns_findings if s.well] == [r for r in wanted() if r.optional]
    for s in dns_findings:
        assert s.record.name in s.problem
        assert s.record.data in s.remedy


async def test_the_one_missing_record_is_named(server: NameServer) -> None:
    publish(server, *wanted())
    gone = wanted()[2]
    server.remove(gone.name, gone.type)
    assert [s.record for s in await look(server, *wanted()) if not s.well] == [gone]


async def test_a_domain_that_does_not_exist(server: NameServer) -> None:
    server.add("example.net", "A", "192.0.2.1")
    (dns_finding,) = await look(server, the(Purpose.RECEIVE))
    assert dns_finding.problem == "There is no domain example.com in the DNS."


async def test_the_mx_of_subdomains_is_looked_up_at_the_wildcard(server: NameServer) -> None:
    apex, star = (r for r in wanted(subdomains=("example.com",)) if r.purpose is Purpose.RECEIVE)
    publish(server, apex)
    (dns_finding,) = await look(server, star)
    assert dns_finding.problem == "The MX record of *.example.com is missing."
    publish(server, star)
    (dns_finding,) = await look(server, star)
    assert dns_finding.verdict is DnsVerdict.SEEN


@pytest.mark.parametrize("purpose", [Purpose.DKIM, Purpose.MAIL_FROM, Purpose.DMARC])
async def test_a_record_at_the_doubled_name_is_recognized(
    server: NameServer, purpose: Purpose
) -> None:
    record = the(purpose)
    server.add(f"{record.name}.example.com", record.type, record.data)
    (dns_finding,) = await look(server, record)
    assert dns_finding.verdict is DnsVerdict.MISSING
    assert "added twice" in dns_finding.problem
    assert dns_finding.why_missing is WhyMissing.MISNAMED
    short = record.name.removesuffix(".example.com")
    assert f"Name it {short} where" in dns_finding.remedy


async def test_something_else_at_the_doubled_name_is_no_hint(server: NameServer) -> None:
    record = the(Purpose.MAIL_FROM)
    server.add(f"{record.name}.example.com", "MX", "10 mx.example.net.")
    (dns_finding,) = await look(server, record)
    assert "twice" not in dns_finding.problem


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.TRUNCATED, Fault.LOST_ONCE, Fault.STRANGER])
async def test_trouble_on_the_way_is_overcome(server: NameServer, fault: Fault) -> None:
    publish(server, *wanted())
    record = the(Purpose.DMARC)
    server.faults[record.name] = fault
    (dns_finding,) = await look(server, record)
    assert dns_finding.verdict is DnsVerdict.SEEN
    over_tcp = server.asked[record.name, "TXT", "tcp"]
    assert over_tcp == (1 if fault is Fault.TRUNCATED else 0)


async def test_more_than_fits_into_a_datagram_comes_over_tcp(server: NameServer) -> None:
    spf = the(Purpose.SPF)
    server.add("example.com", "TXT", *(f'"site-verification={n:0200}"' for n in range(20)))
    publish(server, spf)
    (dns_finding,) = await look(server, spf)
    assert dns_finding.verdict is DnsVerdict.SEEN
    assert server.asked["example.com", "TXT", "tcp"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "message", "seconds"),
    [
        (Fault.SILENT, "no answer within 0.2 s", IMPATIENCE),
        (Fault.SERVFAIL, "SERVFAIL", IMPATIENCE),
        (Fault.REFUSED, "refuses", PATIENCE),
        (Fault.GARBAGE, "not known", IMPATIENCE),
    ],
)
async def test_no_answer_is_told_from_no_record(
    server: NameServer, fault: Fault, message: str, seconds: float
) -> None:
    publish(server, *wanted())
    mx = the(Purpose.RECEIVE)
    server.faults[mx.name] = fault
    other = the(Purpose.DMARC)
    broken, fine = await look(server, mx, other, seconds=seconds)
    assert broken.verdict is DnsVerdict.UNKNOWN
    assert not broken.well
    assert message in broken.problem
    assert broken.problem.isprintable()
    assert broken.remedy
    assert fine.verdict is DnsVerdict.SEEN


async def test_an_optional_record_that_could_not_be_looked_up_is_not_well(
    server: NameServer,
) -> None:
    spf = the(Purpose.SPF)
    server.faults[spf.name] = Fault.REFUSED
    (dns_finding,) = await look(server, spf)
    assert not dns_finding.well


@pytest.mark.slow
async def test_a_resolver_that_does_not_listen_leaves_it_unknown() -> None:
    async with NameServer() as server:
        address = server.address
    (dns_finding,) = await look_up([the(Purpose.RECEIVE)], resolver_at(address), IMPATIENCE)
    assert dns_finding.verdict is DnsVerdict.UNKNOWN


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("9.9.9.9", "9.9.9.9", 53),
        ("2620:fe::fe", "2620:fe::fe", 53),
        ("127.0.0.1:5353", "127.0.0.1", 5353),
        ("[::1]:5353", "::1", 5353),
    ],
)
def test_the_resolver_is_the_one_that_is_named(address: str, host: str, port: int) -> None:
    resolver = resolver_at(address)
    assert (resolver.nameservers, resolver.port) == ([host], port)


@pytest.mark.parametrize("address", ["dns.example.com", "9.9.9.9:x", "9.9.9", "[::1]", "a\nb"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolver_at(address)
    assert caught.value.problem.isprintable()
