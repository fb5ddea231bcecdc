from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from postamt_sync.bootstrap.dns import Dkim, Servers, dkim_of, is_host_name, records
from postamt_sync.bootstrap.record import Purpose
from postamt_sync.errors import PostamtError
from tests.bootstrap.household import DKIM, SERVERS, STACK, stack, the, wanted


def test_the_whole_of_it() -> None:
    assert [(r.name, r.type, r.data, r.optional) for r in wanted()] == [
        ("example.com", "MX", "10 inbound-smtp.eu-west-1.amazonaws.com.", False),
        *(
            (f"{t}._domainkey.example.com", "CNAME", f"{t}.dkim.amazonses.com.", False)
            for t in DKIM.tokens
        ),
        ("bounce.example.com", "MX", "10 feedback-smtp.eu-west-1.amazonses.com.", False),
        ("bounce.example.com", "TXT", '"v=spf1 include:amazonses.com ~all"', False),
        (
            "_dmarc.example.com",
            "TXT",
            '"v=DMARC1; p=none; rua=mailto:postmaster@example.com"',
            False,
        ),
        ("example.com", "TXT", '"v=spf1 include:amazonses.com ~all"', True),
        ("_imaps._tcp.example.com", "SRV", "0 1 993 home.example.com.", True),
        ("_imap._tcp.example.com", "SRV", "0 0 0 .", True),
        (
            "_submissions._tcp.example.com",
            "SRV",
            "0 1 465 email-smtp.eu-west-1.amazonaws.com.",
            True,
        ),
        (
            "_submission._tcp.example.com",
            "SRV",
            "0 1 587 email-smtp.eu-west-1.amazonaws.com.",
            True,
        ),
    ]


def test_every_record_says_what_it_is_for() -> None:
    assert all(r.note.endswith(".") for r in wanted())


def test_the_apex_spf_is_optional_and_says_whose_spf_counts() -> None:
    spf = the(Purpose.SPF, wanted(mail_from="post"))
    assert spf.optional
    assert "post.example.com" in spf.note


@pytest.mark.parametrize("region", ["af-south-1", "me-south-1"])
def test_no_submission_where_ses_has_no_smtp(region: str) -> None:
    assert Purpose.SUBMISSION not in {r.purpose for r in wanted(region=region)}


def test_no_word_of_imap_where_nobody_says_where_it_is() -> None:
    assert Purpose.IMAP not in {r.purpose for r in records(STACK, {"example.com": DKIM})}


@pytest.mark.parametrize("region", ["eu-west-1", "af-south-1"])
def test_a_household_that_relays_is_where_to_send(region: str) -> None:
    relaying = records(stack(region=region), {}, Servers("home.example.com", relay=True))
    assert [r.data for r in relaying if r.purpose is Purpose.SUBMISSION] == [
        "0 1 465 home.example.com.",
        "0 1 587 home.example.com.",
    ]


def test_every_domain_has_its_own() -> None:
    both = wanted(domains=("example.com", "xn--bcher-kva.example"))
    assert len(both) == 2 * len(wanted())
    assert {r.domain for r in both[: len(wanted())]} == {"example.com"}
    dmarc = the(Purpose.DMARC, both[len(wanted()) :])
    assert dmarc.name == "_dmarc.xn--bcher-kva.example"
    assert dmarc.value.endswith("rua=mailto:postmaster@xn--bcher-kva.example")


def test_a_domain_that_ses_does_not_know_yet_waits_for_its_dkim() -> None:
    two = stack(domains=("example.com", "example.org"))
    found = records(two, {"example.org": DKIM}, SERVERS)
    assert {r.domain for r in found if r.purpose is Purpose.DKIM} == {"example.org"}


@pytest.mark.parametrize("policy", ["none", "quarantine", "reject"])
def test_the_dmarc_policy_is_the_stacks(policy: str) -> None:
    assert f"; p={policy}; " in the(Purpose.DMARC, wanted(dmarc_policy=policy)).value


def ask(attributes: dict[str, Any] | None, region: str = "eu-west-1") -> Dkim | None:
    """Let botocore's own Stubber answer: moto says nothing of DKIM."""
    client = boto3.client(
        "sesv2", region_name=region, aws_access_key_id="AKIA", aws_secret_access_key="s"
    )
    with Stubber(client) as stubber:
        asked = {"EmailIdentity": "example.com"}
        if attributes is None:
            stubber.add_client_error(
                "get_email_identity", "NotFoundException", "", 404, None, asked
            )
        else:
            stubber.add_response("get_email_identity", {"DkimAttributes": attributes}, asked)
        return dkim_of(client, "example.com", region)


def test_dkim_is_what_ses_says() -> None:
    zone = "dkim.eu-south-1.amazonses.com"
    said = {"Tokens": ["a1", "b2", "c3"], "SigningHostedZone": zone}
    assert ask(said) == Dkim(("a1", "b2", "c3"), zone)


def test_the_signing_zone_is_the_regions_where_ses_does_not_say_it() -> None:
    assert ask({"Tokens": ["a1"]}) == Dkim(("a1",), "dkim.amazonses.com")
    assert ask({"Tokens": ["a1"]}, "il-central-1") == Dkim(
        ("a1",), "dkim.il-central-1.amazonses.com"
    )


@pytest.mark.parametrize("attributes", [None, {}, {"Tokens": []}])
def test_no_identity_no_dkim(attributes: dict[str, Any] | None) -> None:
    assert ask(attributes) is None


@pytest.mark.parametrize(
    "attributes",
    [
        {"Tokens": ["a.b"]},
        {"Tokens": ["a\nexample.com. MX 0 evil.example."]},
        {"Tokens": [""]},
        {"Tokens": ["a"], "SigningHostedZone": "evil\n.example"},
        {"Tokens": ["a"], "SigningHostedZone": "x y.example"},
    ],
)
def test_what_can_be_no_dkim_becomes_no_record(attributes: dict[str, Any]) -> None:
    with pytest.raises(PostamtError, match="cannot be right"):
        ask(attributes)


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("home.example.com", True),
        ("a-b.example.com", True),
        ("192.0.2.1", False),
        ("::1", False),
        ("localhost", False),
        ("home.example.com.", False),
        ("-a.example.com", False),
        ("a b.example.com", False),
        ("", False),
    ],
)
def test_what_an_srv_record_can_point_to(host: str, good: bool) -> None:
    assert is_host_name(host) is good
