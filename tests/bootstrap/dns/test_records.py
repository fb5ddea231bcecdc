from __future__ import annotations

from typing import Any

import pytest
from botocore.stub import Stubber

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.dns.record import Purpose
from postamt_sync.bootstrap.dns.records import DomainAtSes, Servers, is_host_name, known, records
from postamt_sync.errors import PostamtError
from tests.bootstrap.a_stack import KNOWN, SERVERS, STACK, stack, the, wanted
from tests.support.aws_session import aws_session


def test_a_domain_needs_these_records_in_this_order() -> None:
    assert [(r.name, r.type, r.data, r.optional) for r in wanted()] == [
        ("example.com", "MX", "10 inbound-smtp.eu-west-1.amazonaws.com.", False),
        *(
            (f"{t}._domainkey.example.com", "CNAME", f"{t}.dkim.amazonses.com.", False)
            for t in KNOWN.tokens
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
    assert Purpose.IMAP not in {r.purpose for r in records(STACK, {"example.com": KNOWN})}


@pytest.mark.parametrize("region", ["eu-west-1", "af-south-1"])
def test_a_household_that_relays_is_where_to_send(region: str) -> None:
    relaying = records(stack(region=region), {}, Servers("home.example.com", relay=True))
    assert [r.data for r in relaying if r.purpose is Purpose.SUBMISSION] == [
        "0 1 465 home.example.com.",
        "0 1 587 home.example.com.",
    ]


def test_a_relay_that_has_no_name_is_no_place_to_send_to() -> None:
    nameless = records(STACK, {}, Servers(relay=True))
    assert the(Purpose.SUBMISSION, nameless).data == "0 1 465 email-smtp.eu-west-1.amazonaws.com."


def test_every_domain_has_its_own() -> None:
    both = wanted(domains=("example.com", "xn--bcher-kva.example"))
    assert len(both) == 2 * len(wanted())
    assert {r.domain for r in both[: len(wanted())]} == {"example.com"}
    dmarc = the(Purpose.DMARC, both[len(wanted()) :])
    assert dmarc.name == "_dmarc.xn--bcher-kva.example"
    assert dmarc.value.endswith("rua=mailto:postmaster@xn--bcher-kva.example")


def test_a_domain_that_ses_does_not_know_yet_waits_for_its_dkim() -> None:
    two = stack(domains=("example.com", "example.org"))
    found = records(two, {"example.org": KNOWN}, SERVERS)
    assert {r.domain for r in found if r.purpose is Purpose.DKIM} == {"example.org"}


@pytest.mark.parametrize("policy", ["none", "quarantine", "reject"])
def test_the_dmarc_policy_is_the_stacks(policy: str) -> None:
    assert f"; p={policy}; " in the(Purpose.DMARC, wanted(dmarc_policy=policy)).value


def ask(answer: dict[str, Any] | None, region: str = "eu-west-1") -> DomainAtSes | None:
    """Let botocore's own Stubber answer, which knows what SES may say."""
    aws = AwsClient(aws_session(region=None), region, sleep=lambda _: None)
    with Stubber(aws.client("sesv2")) as stubber:
        asked = {"EmailIdentity": "example.com"}
        if answer is None:
            stubber.add_client_error(
                "get_email_identity", "NotFoundException", "", 404, None, asked
            )
        else:
            stubber.add_response("get_email_identity", answer, asked)
        return known(aws, "example.com")


def dkim(**attributes: Any) -> dict[str, Any]:
    return {"DkimAttributes": attributes}


def mail_from(domain: str) -> dict[str, Any]:
    attributes = {
        "MailFromDomain": domain,
        "MailFromDomainStatus": "SUCCESS",
        "BehaviorOnMxFailure": "USE_DEFAULT_VALUE",
    }
    return {"MailFromAttributes": attributes}


def test_dkim_is_what_ses_says() -> None:
    zone = "dkim.eu-south-1.amazonses.com"
    said = dkim(Tokens=["a1", "b2", "c3"], SigningHostedZone=zone)
    assert ask(said) == DomainAtSes(("a1", "b2", "c3"), zone)


def test_the_signing_zone_is_the_regions_where_ses_does_not_say_it() -> None:
    assert ask(dkim(Tokens=["a1"])) == DomainAtSes(("a1",), "dkim.amazonses.com")
    assert ask(dkim(Tokens=["a1"]), "il-central-1") == DomainAtSes(
        ("a1",), "dkim.il-central-1.amazonses.com"
    )


def test_what_ses_does_not_know() -> None:
    assert ask(None) is None
    assert ask({}) == DomainAtSes((), "dkim.amazonses.com")


def test_a_key_of_ones_own_has_no_records_of_ses() -> None:
    own = ask(dkim(Tokens=["selector"], SigningAttributesOrigin="EXTERNAL"))
    assert own is not None
    assert own.tokens == ()


def test_an_identity_keeps_the_mail_from_that_it_has() -> None:
    found = ask(mail_from("post.example.com"))
    assert found is not None
    named = records(STACK, {"example.com": found})
    assert the(Purpose.MAIL_FROM, named).name == "post.example.com"
    assert the(Purpose.MAIL_FROM_SPF, named).name == "post.example.com"
    assert "post.example.com" in the(Purpose.SPF, named).note


@pytest.mark.parametrize(
    "answer",
    [
        dkim(Tokens=["a.b"]),
        dkim(Tokens=["a\nexample.com. MX 0 evil.example."]),
        dkim(Tokens=["a"], SigningHostedZone="evil\n.example"),
        dkim(Tokens=["a"], SigningHostedZone="x y.example"),
        mail_from("evil\n.example.com"),
    ],
)
def test_what_cannot_be_becomes_no_record(answer: dict[str, Any]) -> None:
    with pytest.raises(PostamtError, match="cannot be right"):
        ask(answer)


def test_subdomains_get_mail_where_the_stack_says_so() -> None:
    found = wanted(domains=("example.com", "example.org"), subdomains=("example.org",))
    receiving = [(r.name, r.data) for r in found if r.purpose is Purpose.RECEIVE]
    inbound = "10 inbound-smtp.eu-west-1.amazonaws.com."
    assert receiving == [
        ("example.com", inbound),
        ("example.org", inbound),
        ("*.example.org", inbound),
    ]


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
