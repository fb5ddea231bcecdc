"""The webmail's name in the DNS: what proves it, what leads to it, and what stands in its place."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from postamt_sync.bootstrap.dns.alias import CLOUDFRONT_ZONE, AliasChange
from postamt_sync.bootstrap.dns.dns_check import DnsVerdict
from postamt_sync.bootstrap.dns.record import Purpose, Record
from postamt_sync.bootstrap.dns.route53 import Obstacle, ZonePlan, apply, plan_zone
from postamt_sync.bootstrap.dns.webmail_records import domain_of, records_of
from postamt_sync.cli.bootstrap.dns import not_for_a_zone
from tests.bootstrap.dns.name_server import look
from tests.bootstrap.dns.test_route53 import Zone
from tests.doubles.dns import NameServer
from tests.doubles.moto import Moto

HOST = "webmail.example.com"
EDGE = "d111111abcdef8.cloudfront.net"
PROOF = ("_a1.webmail.example.com", "_b2.acm-validations.aws")
_numbers = itertools.count()


def wanted(host: str = HOST, domain: str = "example.com") -> dict[Purpose, Record]:
    return {r.purpose: r for r in records_of((domain,), host, PROOF, EDGE)}


LEADING = wanted()[Purpose.WEBMAIL]
PROVING = wanted()[Purpose.CERTIFICATE]


def test_both_are_told_as_soon_as_aws_says_them() -> None:
    assert (PROVING.name, PROVING.data) == (PROOF[0], f"{PROOF[1]}.")
    assert (LEADING.name, LEADING.data) == (HOST, f"{EDGE}.")
    assert list(records_of(("example.com",), HOST, None, "")) == []
    assert list(records_of(("example.net",), HOST, PROOF, EDGE)) == []


@pytest.mark.parametrize(
    ("host", "domains", "domain"),
    [
        (HOST, ("example.com",), "example.com"),
        ("a.mail.example.com", ("example.com", "mail.example.com"), "mail.example.com"),
        ("example.com", ("example.com",), "example.com"),
        ("notexample.com", ("example.com",), ""),
    ],
)
def test_the_domain_is_the_nearest_one(host: str, domains: tuple[str, ...], domain: str) -> None:
    assert domain_of(host, domains) == domain


def test_at_the_domain_itself_a_zone_file_has_no_cname() -> None:
    apex = wanted("example.com")[Purpose.WEBMAIL]
    assert "ALIAS" in not_for_a_zone([apex], ())[apex]
    assert not_for_a_zone([LEADING, PROVING], ()) == {}


async def test_a_cname_is_seen(server: NameServer) -> None:
    server.add(HOST, "CNAME", f"{EDGE}.")
    (found,) = await look(server, LEADING)
    assert found.verdict is DnsVerdict.SEEN


@pytest.mark.parametrize("kind", ["A", "AAAA"])
async def test_an_alias_is_seen_by_its_addresses(server: NameServer, kind: str) -> None:
    ours = {"A": ("192.0.2.1", "192.0.2.2"), "AAAA": ("2001:db8::1", "2001:db8::2")}[kind]
    server.add(HOST, kind, ours[0])
    for address in ours:
        server.add(EDGE, kind, address)
    (found,) = await look(server, LEADING)
    assert (found.verdict, found.problem) == (DnsVerdict.SEEN, "")


async def test_another_address_is_not_the_webmail(server: NameServer) -> None:
    server.add(HOST, "A", "198.51.100.7")
    server.add(EDGE, "A", "192.0.2.1")
    (found,) = await look(server, LEADING)
    assert found.verdict is DnsVerdict.DIFFERENT
    assert "beside which no CNAME can stand" in found.problem


async def test_another_cname_is_told_as_what_it_is(server: NameServer) -> None:
    server.add(HOST, "CNAME", "elsewhere.example.net.")
    server.add(PROVING.name, "CNAME", "_old.acm-validations.aws.")
    leading, proving = await look(server, LEADING, PROVING)
    assert "where the webmail is not" in leading.problem
    assert "proves nothing to ACM" in proving.problem


@pytest.fixture
def zone(emulator: Moto, request: pytest.FixtureRequest) -> Zone:
    aws = request.getfixturevalue("zone_aws")
    return Zone(aws, f"w{next(_numbers)}.example.com")


@pytest.fixture
def zone_aws(emulator: Moto) -> Any:
    from postamt_sync.bootstrap.aws_client import AwsClient  # noqa: PLC0415
    from tests.doubles.moto import REGION  # noqa: PLC0415
    from tests.support.aws_session import aws_session  # noqa: PLC0415

    return AwsClient(aws_session(), REGION, endpoint=lambda _: emulator.url)


def planned(zone: Zone, host: str = "") -> ZonePlan:
    found = wanted(host or f"webmail.{zone.name}", zone.name)
    return plan_zone(zone.contents(), [found[Purpose.WEBMAIL]])


def test_route_53_gets_an_alias_of_both_kinds(zone: Zone) -> None:
    apply(zone.aws, planned(zone))
    again = planned(zone)
    assert (again.changes, again.obstacles) == ((), ())
    for kind in ("A", "AAAA"):
        (held,) = [
            s
            for (name, type_), found in zone.contents().sets.items()
            if type_ == kind and name.to_text().startswith("webmail.")
            for s in found
        ]
        assert held["AliasTarget"]["HostedZoneId"] == CLOUDFRONT_ZONE
        assert held["AliasTarget"]["DNSName"].rstrip(".") == EDGE


def test_at_the_domain_itself_it_stands_beside_the_mx(zone: Zone) -> None:
    zone.put(zone.name, "MX", "10 inbound-smtp.eu-west-1.amazonaws.com.")
    apply(zone.aws, planned(zone, zone.name))
    assert planned(zone, zone.name).changes == ()


def test_the_alias_of_a_distribution_that_is_gone_is_replaced(zone: Zone) -> None:
    old = {
        "HostedZoneId": CLOUDFRONT_ZONE,
        "DNSName": "d000.cloudfront.net.",
        "EvaluateTargetHealth": False,
    }
    zone.client.change_resource_record_sets(
        HostedZoneId=zone.id,
        ChangeBatch={
            "Changes": [
                {
                    "Action": "CREATE",
                    "ResourceRecordSet": {
                        "Name": f"webmail.{zone.name}",
                        "Type": "A",
                        "AliasTarget": old,
                    },
                }
            ]
        },
    )
    changes = planned(zone).changes
    assert [c.message.split()[0] for c in changes] == ["replace", "create"]
    apply(zone.aws, planned(zone))
    assert planned(zone).changes == ()


@pytest.mark.parametrize(("kind", "data"), [("A", "192.0.2.9"), ("CNAME", "other.example.net.")])
def test_what_is_a_person_s_own_is_left_and_told(zone: Zone, kind: str, data: str) -> None:
    zone.put(f"webmail.{zone.name}", kind, data)
    found = planned(zone)
    assert any(isinstance(o, Obstacle) and EDGE in o.remedy for o in found.obstacles)
    assert all(isinstance(c, AliasChange) and c.kind == "AAAA" for c in found.changes)


def test_our_own_cname_will_do(zone: Zone) -> None:
    zone.put(f"webmail.{zone.name}", "CNAME", f"{EDGE}.")
    assert (planned(zone).changes, planned(zone).obstacles) == ((), ())
