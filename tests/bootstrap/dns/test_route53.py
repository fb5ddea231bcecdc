"""Against moto. What it does not check, a batch that is all or nothing, is read off the batch."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import dns.name
import pytest
from botocore.stub import Stubber

from postamt_sync.bootstrap.aws_client import AwsClient, ChangedMeanwhileError
from postamt_sync.bootstrap.dns.dns_check import DnsVerdict
from postamt_sync.bootstrap.dns.hosted_zone import Contents, HostedZone, hosted_zones, read, values
from postamt_sync.bootstrap.dns.record import Purpose, Record
from postamt_sync.bootstrap.dns.route53 import ZoneChange, ZonePlan, apply, plan_zone
from postamt_sync.errors import MisconfiguredError, PostamtError
from tests.bootstrap.a_stack import the, wanted
from tests.doubles.moto import REGION, Moto
from tests.support.aws_session import aws_session

_numbers = itertools.count()


class Zone:
    """A hosted zone with a name of its own, and the records that its domain needs."""

    def __init__(self, aws: AwsClient, name: str, **more: Any) -> None:
        self.aws = aws
        self.client = aws.client("route53")
        self.name = name
        made = self.client.create_hosted_zone(
            Name=name, CallerReference=f"{next(_numbers)}", **more
        )
        self.id: str = made["HostedZone"]["Id"].rpartition("/")[2]
        self.records = wanted(domains=(name,))

    def put(self, name: str, kind: str, *data: str, action: str = "CREATE", **more: Any) -> None:
        one = {"Name": name, "Type": kind, "TTL": 60}
        if data:
            one["ResourceRecords"] = [{"Value": value} for value in data]
        change = {"Action": action, "ResourceRecordSet": {**one, **more}}
        self.client.change_resource_record_sets(
            HostedZoneId=self.id, ChangeBatch={"Changes": [change]}
        )

    def contents(self) -> Contents:
        return read(self.aws, HostedZone(self.id, self.name))

    def plan(self, *records: Record) -> ZonePlan:
        return plan_zone(self.contents(), records or self.records)

    def all(self) -> dict[tuple[str, str], list[str]]:
        return {
            (name.to_text(omit_final_dot=True), kind): values(one)
            for (name, kind), sets in self.contents().sets.items()
            for one in sets
            if kind not in {"NS", "SOA"}
        }

    def the(self, purpose: Purpose) -> Record:
        return the(purpose, self.records)


@pytest.fixture(scope="module")
def aws(emulator: Moto) -> AwsClient:
    made = AwsClient(aws_session(region=None), REGION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", emulator.url)
        made.client("route53")  # made once, for that is slow
    return made


@pytest.fixture
def zone(aws: AwsClient) -> Zone:
    return Zone(aws, f"z{next(_numbers)}.example.com")


def only(items: tuple[Any, ...]) -> Any:
    (item,) = items
    return item


def test_an_empty_zone_gets_everything_in_one_call_and_then_nothing_more(zone: Zone) -> None:
    plan = zone.plan()
    assert [c.record for c in plan.changes] == list(zone.records)
    assert all(c.message.startswith("create  ") for c in plan.changes)
    assert (plan.obstacles, plan.there) == ((), ())
    apply(zone.aws, plan)
    assert zone.all() == {(r.name, r.type): [r.data] for r in zone.records}
    again = zone.plan()
    assert (again.changes, again.obstacles) == ((), ())
    assert {s.verdict for s in again.there} == {DnsVerdict.SEEN}


def test_nothing_to_do_is_no_call(zone: Zone) -> None:
    apply(zone.aws, zone.plan())
    plan = zone.plan()
    nobody: Any = None  # who cannot be asked
    apply(nobody, plan)


def test_it_knows_who_answers_for_the_zone(zone: Zone) -> None:
    servers = zone.plan().name_servers
    assert servers
    assert not any(server.endswith(".") for server in servers)
    assert list(servers) == sorted(servers)


@pytest.mark.parametrize(
    ("purpose", "data"),
    [
        (Purpose.RECEIVE, ["10 mx.example.net."]),
        (Purpose.RECEIVE, ["10 inbound-smtp.us-east-1.amazonaws.com."]),
        (Purpose.RECEIVE, ["10 inbound-smtp.eu-west-1.amazonaws.com.", "20 mx.example.net."]),
        (Purpose.MAIL_FROM_SPF, ['"v=spf1 mx -all"']),
        (Purpose.SPF, ['"v=spf1 mx -all"', '"v=spf1 a -all"']),
        (Purpose.DMARC, ['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"']),
        (Purpose.MAIL_FROM, ["10 mx.example.net."]),
        (Purpose.MAIL_FROM, ["10 feedback-smtp.us-east-1.amazonses.com.", "20 mx.example.net."]),
        (Purpose.IMAP, ["0 1 993 imap.example.net."]),
        (Purpose.SUBMISSION, ["0 1 465 smtp.example.net."]),
    ],
)
def test_what_is_not_ours_stands_in_the_way_and_stays(
    zone: Zone, purpose: Purpose, data: list[str]
) -> None:
    record = zone.the(purpose)
    zone.put(record.name, record.type, *data)
    plan = zone.plan()
    obstacle = only(plan.obstacles)
    assert obstacle.record == record
    assert obstacle.problem
    assert "cannot be read" not in obstacle.problem
    assert obstacle.remedy
    assert len(plan.changes) == len(zone.records) - 1
    apply(zone.aws, plan)
    assert zone.all()[record.name, record.type] == data


@pytest.mark.parametrize(
    ("purpose", "data"),
    [
        (Purpose.SPF, ['"v=spf1 include:_spf.example.net -all"']),
        (Purpose.MAIL_FROM_SPF, ['"v=spf1 mx include:amazonses.com -all"']),
        (Purpose.DMARC, ['"v=DMARC1; p=reject"']),
    ],
)
def test_what_will_do_is_left_alone(zone: Zone, purpose: Purpose, data: list[str]) -> None:
    record = zone.the(purpose)
    zone.put(record.name, record.type, *data)
    plan = zone.plan(record)
    assert only(plan.there).verdict is DnsVerdict.WILL_DO
    assert (plan.changes, plan.obstacles) == ((), ())


@pytest.mark.parametrize(
    ("purpose", "former"),
    [
        (Purpose.DKIM, "old.dkim.amazonses.com."),
        (Purpose.MAIL_FROM, "10 feedback-smtp.us-east-1.amazonses.com."),
        (Purpose.MAIL_FROM, "10 feedback-smtp.eu-west-1.amazonses.com.{zone}."),
        (Purpose.IMAP, "0 1 993 old.{zone}."),
        (Purpose.IMAP, "0 0 0 ."),
        (Purpose.SUBMISSION, "0 1 465 email-smtp.us-east-1.amazonaws.com."),
    ],
)
def test_what_is_ours_is_replaced_and_said_so(zone: Zone, purpose: Purpose, former: str) -> None:
    record = zone.the(purpose)
    former = former.format(zone=zone.name)
    zone.put(record.name, record.type, former)
    change = only(zone.plan(record).changes)
    assert change.message.startswith(f"replace {former} by {record.name}")
    apply(zone.aws, zone.plan(record))
    assert zone.all() == {(record.name, record.type): [record.data]}


def test_a_replacement_takes_away_exactly_what_was_read(zone: Zone) -> None:
    """Route 53 refuses the batch where the zone holds something else by then."""
    record = zone.the(Purpose.MAIL_FROM)
    former = "10 feedback-smtp.us-east-1.amazonses.com."
    zone.put(record.name, record.type, former)
    taken, made = only(zone.plan(record).changes).calls()
    assert taken["Action"] == "DELETE"
    assert taken["ResourceRecordSet"]["TTL"] == 60
    assert taken["ResourceRecordSet"]["ResourceRecords"] == [{"Value": former}]
    assert made["Action"] == "CREATE"
    assert {c["Action"] for change in zone.plan().changes for c in change.calls()} == {
        "CREATE",
        "DELETE",
    }


def test_a_batch_that_is_refused_writes_nothing(zone: Zone) -> None:
    record = zone.the(Purpose.MAIL_FROM)
    zone.put(record.name, record.type, "10 feedback-smtp.us-east-1.amazonses.com.")
    plan = zone.plan()
    *_, change = (c for c in plan.changes if c.before is not None)
    stale = replace(change, before={**change.before, "TTL": 61})  # not what moto was given
    plan = replace(plan, changes=(*(c for c in plan.changes if c != change), stale))
    before = zone.all()
    with pytest.raises(PostamtError):
        apply(zone.aws, plan)
    assert zone.all() == before


def test_what_someone_made_meanwhile_is_not_written_over(zone: Zone) -> None:
    plan = zone.plan()
    apply(zone.aws, plan)
    with pytest.raises(ChangedMeanwhileError) as caught:
        apply(zone.aws, plan)
    assert zone.name in caught.value.problem
    assert "--route53" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "[Tried to create resource record set [name='x.', type='MX'] but it already exists]",
            "Tried to create resource record set [name='x.', type='MX'] but it already exists.",
        ),
        ("Invalid Resource Record: 'one' is too\nlong.", "'one' is too\\nlong."),
        ("<html>Hotel</html>", "nothing more."),
    ],
)
def test_what_route_53_has_against_a_batch_is_told(zone: Zone, said: str, told: str) -> None:
    plan = zone.plan()
    code = "InvalidChangeBatch"
    with Stubber(zone.client) as stubber:
        stubber.add_client_error("change_resource_record_sets", code, said)
        with pytest.raises(ChangedMeanwhileError) as caught:
            apply(zone.aws, plan)
    assert caught.value.problem.endswith(told)
    assert zone.name in caught.value.problem
    assert "--route53" in caught.value.hint


def test_other_trouble_is_told_from_that(zone: Zone) -> None:
    plan = replace(zone.plan(), zone=HostedZone("ZNOTHERE", zone.name))
    with pytest.raises(PostamtError) as caught:
        apply(zone.aws, plan)
    assert not isinstance(caught.value, ChangedMeanwhileError)


def test_other_texts_of_the_name_stay(zone: Zone) -> None:
    spf = zone.the(Purpose.SPF)
    others = ['"site-verification=\\303\\244" "x"', '"hello \\"world\\""']
    zone.put(zone.name, "TXT", *others)
    change = only(zone.plan(spf).changes)
    assert change.message == f"add     {spf.name} TXT {spf.data}, beside what is there"
    *_, made = change.calls()
    assert made["ResourceRecordSet"]["TTL"] == 60
    apply(zone.aws, zone.plan(spf))
    assert zone.all()[zone.name, "TXT"] == [*others, spf.data]
    assert zone.plan(spf).changes == ()


@pytest.mark.parametrize(
    ("purpose", "kind", "data"),
    [
        (Purpose.MAIL_FROM, "CNAME", "elsewhere.example.net."),
        (Purpose.DMARC, "CNAME", "dmarc.example.net."),
        (Purpose.DKIM, "TXT", '"p=abc"'),
    ],
)
def test_nothing_stands_beside_an_alias(zone: Zone, purpose: Purpose, kind: str, data: str) -> None:
    record = zone.the(purpose)
    zone.put(record.name, kind, data)
    plan = zone.plan(record)
    assert plan.changes == ()
    assert f"has a {kind} record, beside which no {record.type}" in only(plan.obstacles).problem


def test_an_address_beside_it_is_no_obstacle(zone: Zone) -> None:
    record = zone.the(Purpose.MAIL_FROM)
    zone.put(record.name, "A", "192.0.2.1")
    assert only(zone.plan(record).changes).record == record


def test_a_routing_policy_is_left_alone(zone: Zone) -> None:
    record = zone.the(Purpose.MAIL_FROM)
    for number in (1, 2):
        zone.put(record.name, "MX", record.data, SetIdentifier=f"s{number}", Weight=number)
    plan = zone.plan(record)
    assert plan.changes == ()
    assert "routing policy" in only(plan.obstacles).problem


@pytest.mark.parametrize(
    "one",
    [
        {"SetIdentifier": "s", "Weight": 1, "ResourceRecords": [{"Value": "10 a.example.net."}]},
        {"AliasTarget": {"DNSName": "x.example.net."}},
    ],
)
def test_an_alias_of_route_53_is_left_alone(one: dict[str, Any]) -> None:
    record = the(Purpose.MAIL_FROM)
    whole: Any = {"Name": f"{record.name}.", "Type": "MX", "TTL": 60, **one}
    contents = Contents(
        HostedZone("Z", "example.com"), {(dns.name.from_text(record.name), "MX"): [whole]}
    )
    plan = plan_zone(contents, [record])
    assert plan.changes == ()
    assert "alias" in only(plan.obstacles).problem


@pytest.mark.parametrize("purpose", [Purpose.RECEIVE, Purpose.MAIL_FROM, Purpose.IMAP])
def test_what_cannot_be_read_is_left_alone(purpose: Purpose) -> None:
    record = the(purpose)
    odd = [{"Value": "ten mx"}]
    whole: Any = {"Name": "x", "Type": record.type, "TTL": 1, "ResourceRecords": odd}
    contents = Contents(
        HostedZone("Z", "example.com"), {(dns.name.from_text(record.name), record.type): [whole]}
    )
    plan = plan_zone(contents, [record])
    assert plan.changes == ()
    assert "cannot be read" in only(plan.obstacles).problem


def test_a_name_that_other_servers_answer_for_is_none_of_the_zone(aws: AwsClient) -> None:
    parent = Zone(aws, f"p{next(_numbers)}.example.com")
    child = f"mail.{parent.name}"
    parent.put(child, "NS", "ns.example.net.")
    plan = parent.plan(*wanted(domains=(child,)))
    assert plan.changes == ()
    assert {o.problem.partition(" is ")[0] for o in plan.obstacles} == {child}
    assert parent.plan().obstacles == ()


def test_the_zone_is_the_public_one_with_the_longest_name(aws: AwsClient) -> None:
    outer = Zone(aws, f"n{next(_numbers)}.example.com")
    inner = Zone(aws, f"mail.{outer.name}")
    Zone(
        aws,
        f"deep.mail.{outer.name}",
        VPC={"VPCRegion": "eu-west-1", "VPCId": "vpc-1"},
        HostedZoneConfig={"PrivateZone": True},
    )
    domains = [
        outer.name,
        inner.name,
        f"deep.mail.{outer.name}",
        f"x{outer.name}",
        "elsewhere.example.org",
    ]
    found = hosted_zones(aws, domains)
    assert {domain: zone.id for domain, zone in found.items()} == {
        outer.name: outer.id,
        inner.name: inner.id,
        f"deep.mail.{outer.name}": inner.id,
    }


def test_two_zones_of_one_name_are_for_a_person(aws: AwsClient) -> None:
    twins = [Zone(aws, f"t{n}.example.com") for n in [next(_numbers)] * 2]
    with pytest.raises(MisconfiguredError) as caught:
        hosted_zones(aws, [twins[0].name])
    assert all(twin.id in caught.value.problem for twin in twins)
    assert hosted_zones(aws, ["elsewhere.example.org"]) == {}


def test_a_name_with_a_star_is_read_as_route_53_writes_it() -> None:
    star: Any = {
        "Name": "\\052.example.com.",
        "Type": "MX",
        "TTL": 1,
        "ResourceRecords": [{"Value": "10 a."}],
    }
    aws = AwsClient(aws_session(region=None), REGION)
    with Stubber(aws.client("route53")) as stubber:
        answer = {"ResourceRecordSets": [star], "IsTruncated": False, "MaxItems": "300"}
        stubber.add_response("list_resource_record_sets", answer)
        contents = read(aws, HostedZone("Z", "example.com"))
    assert contents.types(dns.name.from_text("*.example.com")) == ["MX"]


def test_the_words_of_a_change_are_safe_to_show() -> None:
    record = the(Purpose.DKIM)
    before: Any = {"Name": "x", "Type": "CNAME", "ResourceRecords": [{"Value": "\x1b[31m\n"}]}
    assert ZoneChange(record, before).message.isprintable()


def test_a_name_outside_the_zone_is_delegated_nowhere() -> None:
    contents = Contents(HostedZone("Z", "example.com"), {})
    assert contents.delegated(dns.name.from_text("a.example.org")) == ""
