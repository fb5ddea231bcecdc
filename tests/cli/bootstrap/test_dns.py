"""The verb against moto and a name server on loopback."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import os
import pty
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dns.zone
import pytest
from rich.console import Console

from postamt_sync.bootstrap.dns.dns_check import (
    DnsFinding,
    DnsVerdict,
    check_record,
    from_wildcard,
    missing,
)
from postamt_sync.bootstrap.dns.record import Record, parsed
from postamt_sync.cli.bootstrap.dns import as_json, show
from postamt_sync.cli.main import run
from postamt_sync.errors import ExitCode
from tests.bootstrap.a_stack import wanted
from tests.doubles.dns import Fault, NameServer
from tests.doubles.moto import Moto
from tests.support.household import configuration

CONFIGURATION = configuration(
    Path("/srv"),
    '[stack]\ndomains = {domains}\n[home]\nimap_host = "imap.example.com"\nsubmission = true\n',
    people=["anna"],
    addresses={"anna": []},
)

_numbers = itertools.count()


class Typed:
    """What a person types, and what comes of it. `domain` is this test's own."""

    def __init__(self, path: Path, server: NameServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.domain = f"v{next(_numbers)}.example.com"
        self.server = server
        self.path = path
        self._capsys = capsys
        self.configure(self.domain)

    def configure(self, *domains: str) -> None:
        self.path.write_text(CONFIGURATION.format(domains=json.dumps(domains)))

    async def __call__(self, *argv: str, code: int = ExitCode.OK) -> str:
        ours = ["--config", str(self.path), "--resolver", self.server.address]
        ended = await asyncio.to_thread(run, ["bootstrap", "dns", *ours, *argv])
        captured = self._capsys.readouterr()
        assert ended == code, captured
        self.err = " ".join(captured.err.split())
        return captured.out


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer() as running:
        yield running


@pytest.fixture
def typed(
    emulator: Moto,
    server: NameServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Typed:
    monkeypatch.setenv("COLUMNS", "80")
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    return Typed(tmp_path / "config.toml", server, capsys)


@pytest.fixture
def host(emulator: Moto) -> Callable[[str], str]:
    """Make a hosted zone; returns its id."""

    def make(name: str) -> str:
        client = emulator.client("route53")
        made = client.create_hosted_zone(Name=name, CallerReference=name)
        zone: str = made["HostedZone"]["Id"].rpartition("/")[2]
        return zone

    return make


def held(emulator: Moto, zone: str) -> set[tuple[str, str]]:
    client = emulator.client("route53")
    listed: list[dict[str, Any]] = client.list_resource_record_sets(HostedZoneId=zone)[
        "ResourceRecordSets"
    ]
    return {(one["Name"], one["Type"]) for one in listed if one["Type"] not in {"NS", "SOA"}}


async def test_the_table_says_what_is_there_and_what_stands_in_the_way(typed: Typed) -> None:
    typed.server.add(typed.domain, "MX", "10 mx.example.net.")
    typed.server.add(f"bounce.{typed.domain}", "TXT", '"v=spf1 include:amazonses.com ~all"')
    out = await typed()
    assert max(map(len, out.splitlines())) <= 80
    assert "different" in out
    assert "missing" in out
    assert "seen" in out
    assert f"The MX record of {typed.domain} leads to mx.example.net, not to SES." in out
    assert "CNAME" not in out
    assert f"DKIM records of {typed.domain} are missing here" in typed.err


async def test_a_domain_that_ses_knows_gets_its_dkim(typed: Typed, emulator: Moto) -> None:
    emulator.client("sesv2").create_email_identity(EmailIdentity=typed.domain)
    found = json.loads(await typed("--format", "json", "--offline"))
    dkim = [r for r in found if r["purpose"] == "dkim"]
    assert len(dkim) == 3
    for record in dkim:
        token = record["name"].partition(".")[0]
        assert record["name"] == f"{token}._domainkey.{typed.domain}"
        assert record["value"] == f"{token}.dkim.amazonses.com."
    assert typed.err == ""


async def test_the_zone_file_leaves_out_what_cannot_stand_beside_another(typed: Typed) -> None:
    typed.server.add(typed.domain, "MX", "10 mx.example.net.")
    typed.server.add(typed.domain, "TXT", '"v=spf1 mx -all"')
    out = await typed("--format", "zone", "--imap-host", "home.example.com")
    zone = dns.zone.from_text(out, "example.com", check_origin=False, relativize=False)
    names = {(n.to_text(), r.rdtype.name) for n, _, r in zone.iterate_rdatas()}
    apex = f"{typed.domain}."
    assert (apex, "MX") not in names
    assert (apex, "TXT") not in names
    assert {(f"_imaps._tcp.{apex}", "SRV"), (f"bounce.{apex}", "MX")} <= names


async def test_mail_clients_are_sent_where_the_configuration_says(typed: Typed) -> None:
    services = "_imaps", "_submissions"

    def hosts(out: str) -> list[str]:
        found = {r["name"].partition(".")[0]: r["value"].split()[-1] for r in json.loads(out)}
        return [found[service] for service in services]

    asked = ["--format", "json", "--offline"]
    assert hosts(await typed(*asked)) == ["imap.example.com."] * 2
    other = await typed(*asked, "--imap-host", "other.example.com")
    assert hosts(other) == ["other.example.com."] * 2


async def test_one_domain_at_a_time_for_hosts_that_import_a_zone_at_a_time(typed: Typed) -> None:
    typed.configure("example.com", "xn--bcher-kva.example")
    asked = ["--format", "json", "--offline"]
    assert len({r["domain"] for r in json.loads(await typed(*asked))}) == 2
    one = json.loads(await typed(*asked, "--domain", "Bücher.example"))
    assert {r["domain"] for r in one} == {"xn--bcher-kva.example"}


async def test_json_has_every_record(typed: Typed) -> None:
    found = json.loads(await typed("--format", "json"))
    assert [(r["type"], r["now"]) for r in found if r["purpose"] == "receive"] == [
        ("MX", "missing")
    ]
    assert set(found[0]) == {
        "domain",
        "purpose",
        "name",
        "type",
        "ttl",
        "value",
        "optional",
        "note",
        "now",
        "seen",
        "problem",
        "remedy",
    }


async def test_offline_nobody_is_asked(typed: Typed) -> None:
    found = json.loads(await typed("--format", "json", "--offline"))
    assert {r["now"] for r in found} == {None}
    assert "Now" not in await typed("--offline")
    assert not typed.server.asked


async def test_a_dns_that_does_not_answer_is_told(typed: Typed) -> None:
    typed.server.faults[typed.domain] = Fault.REFUSED
    out = await typed("--format", "zone")
    assert f"{typed.domain}.\t3600\tIN\tMX" in out
    assert "its MX record: the resolver refuses" in typed.err


async def test_route_53_is_shown_first_and_written_only_when_asked_to(
    typed: Typed, emulator: Moto, host: Callable[[str], str]
) -> None:
    zone = host(typed.domain)
    out = await typed("--route53", code=ExitCode.USAGE)
    assert f"create  {typed.domain} MX 10 inbound-smtp" in " ".join(out.split(" "))
    assert "--yes" in typed.err
    assert held(emulator, zone) == set()
    assert "Written" in await typed("--route53", "--yes")
    assert len(held(emulator, zone)) == 9
    out = await typed("--route53")
    assert "Written" not in out
    assert "create" not in out
    assert "9 records of ours" in out


async def test_route_53_says_what_stands_in_the_way_and_writes_the_rest(
    typed: Typed, emulator: Moto, host: Callable[[str], str]
) -> None:
    zone = host(typed.domain)
    mx = {"Name": typed.domain, "Type": "MX", "TTL": 60}
    mx["ResourceRecords"] = [{"Value": "10 mx.example.net."}]
    change = {"Action": "CREATE", "ResourceRecordSet": mx}
    emulator.client("route53").change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [change]}
    )
    out = await typed("--route53", "--yes", code=ExitCode.CONFIGURATION)
    message = " ".join(out.split())
    assert f"in the way: The MX record of {typed.domain} leads to mx.example.net" in message
    assert len(held(emulator, zone)) == 9


async def test_a_zone_that_the_world_does_not_ask_is_told(
    typed: Typed, host: Callable[[str], str]
) -> None:
    host(typed.domain)
    typed.server.add(typed.domain, "NS", "ns.example.net.")
    out = await typed("--route53", "--yes")
    assert "does not ask this zone, but ns.example.net:" in " ".join(out.split())


async def test_a_zone_that_the_world_asks_needs_no_word(
    typed: Typed, emulator: Moto, host: Callable[[str], str]
) -> None:
    zone = host(typed.domain)
    client = emulator.client("route53")
    servers = client.get_hosted_zone(Id=zone)["DelegationSet"]["NameServers"]
    typed.server.add(typed.domain, "NS", f"{servers[0].upper()}.")
    assert "registrar" not in await typed("--route53", "--yes")


async def test_a_zone_that_nobody_is_led_to_is_told(
    typed: Typed, host: Callable[[str], str]
) -> None:
    host(typed.domain)
    out = await typed("--route53", "--yes")
    assert "does not ask this zone, but nobody:" in " ".join(out.split())


@pytest.mark.parametrize("argv", [[], ["--offline"]])
async def test_nothing_is_said_of_name_servers_that_nobody_knows(
    typed: Typed, host: Callable[[str], str], argv: list[str]
) -> None:
    host(typed.domain)
    typed.server.faults[typed.domain] = Fault.REFUSED
    assert "registrar" not in await typed("--route53", "--yes", *argv)


@pytest.mark.parametrize(
    ("answer", "code", "written"), [("n", ExitCode.INTERRUPTED, 0), ("y", ExitCode.OK, 9)]
)
async def test_records_are_written_only_after_a_person_says_yes(
    typed: Typed,
    emulator: Moto,
    host: Callable[[str], str],
    answer: str,
    code: int,
    written: int,
) -> None:
    zone = host(typed.domain)
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "postamt_sync", "bootstrap", "dns", "--route53", "--offline"),
        *("--config", str(typed.path)),
        cwd=Path(__file__).parents[3],
        stdin=theirs,
        stdout=theirs,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    _, err = await process.communicate()
    os.close(ours)
    assert process.returncode == code, err
    assert len(held(emulator, zone)) == written


async def test_a_domain_without_a_zone_is_told(typed: Typed, host: Callable[[str], str]) -> None:
    await typed("--route53", code=ExitCode.CONFIGURATION)
    assert f"no public hosted zone for {typed.domain}" in typed.err
    host(typed.domain)
    typed.configure(typed.domain, "elsewhere.example.org")
    out = await typed("--route53", "--yes", code=ExitCode.CONFIGURATION)
    assert "elsewhere.example.org: no hosted zone in this account." in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--domain", "example.org"], "example.org is no domain of the configuration"),
        (["--domain", "x"], "x is no domain"),
        (["--imap-host", "192.0.2.1"], "cannot be sent to 192.0.2.1"),
        (["--resolver", "nobody"], "address of a resolver"),
        (["--format", "xml"], "xml"),
    ],
)
async def test_what_cannot_be_meant_is_refused(typed: Typed, argv: list[str], message: str) -> None:
    await typed(*argv, code=ExitCode.USAGE)
    assert message in typed.err


async def test_without_a_domain_there_is_nothing_to_show(typed: Typed) -> None:
    typed.configure()
    await typed(code=ExitCode.CONFIGURATION)
    assert "[stack]" in typed.err


async def test_without_credentials_it_says_how_to_give_them(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    await typed(code=ExitCode.CONFIGURATION)
    assert "no AWS credentials" in typed.err


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


def test_a_wildcard_is_told_once_for_all_that_it_answers() -> None:
    records = wanted()
    one = shown(records, (from_wildcard(records[0]), *map(missing, records[1:])))
    assert "a wildcard such as *.com answers" in " ".join(" ".join(one).split())
    every = " ".join(" ".join(shown(records, tuple(map(from_wildcard, records)))).split())
    assert every.count("wildcard") == 1
    assert f"For {len(records)} of the names that are missing a wildcard" in every
    worded = replace(missing(records[0]), problem="It is worded anew.")
    none = shown(records, (worded, *map(missing, records[1:])))
    assert none == shown(records, tuple(DnsFinding(r, DnsVerdict.MISSING) for r in records))
