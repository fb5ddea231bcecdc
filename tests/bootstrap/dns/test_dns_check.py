from __future__ import annotations

from typing import Any

import dns.rdata
import pytest

from postamt_sync.bootstrap.dns.dns_check import DnsFinding, DnsVerdict, check_record
from postamt_sync.bootstrap.dns.record import Purpose, Record, parsed
from tests.bootstrap.a_stack import the, wanted

OURS = "inbound-smtp.eu-west-1.amazonaws.com"
BACK = "feedback-smtp.eu-west-1.amazonses.com"
SPF = "v=spf1 include:amazonses.com ~all"


def judged(purpose: Purpose, *data: str, **changes: Any) -> DnsFinding:
    record = the(purpose, wanted(**changes))
    dns_finding = check_record(record, [parsed(record.type, d) for d in data])
    assert bool(dns_finding.remedy) == (
        dns_finding.verdict in {DnsVerdict.MISSING, DnsVerdict.DIFFERENT, DnsVerdict.UNKNOWN}
    )
    assert "\n" not in dns_finding.problem + dns_finding.remedy
    return dns_finding


@pytest.mark.parametrize("record", wanted(), ids=lambda r: f"{r.purpose}-{r.type}")
def test_what_is_meant_is_seen_and_nothing_is_missed(record: Record) -> None:
    assert check_record(record, [record.rdata]).verdict is DnsVerdict.SEEN
    assert check_record(record, []).verdict is DnsVerdict.MISSING


@pytest.mark.parametrize(
    ("purpose", "data", "message"),
    [
        (Purpose.RECEIVE, ["10 mx.example.net."], "leads to mx.example.net, not to SES"),
        (
            Purpose.RECEIVE,
            [f"10 {OURS}.", "20 mx.example.net."],
            "leads to SES, and to mx.example.net too",
        ),
        (
            Purpose.RECEIVE,
            ["10 inbound-smtp.US-EAST-1.amazonaws.com."],
            "SES in us-east-1, the stack is in eu-west-1",
        ),
        (
            Purpose.RECEIVE,
            [f"10 {OURS}.", "10 inbound-smtp.us-east-1.amazonaws.com."],
            "SES in us-east-1",
        ),
        (Purpose.RECEIVE, ["0 ."], "accepts no mail"),
        (Purpose.RECEIVE, [f"10 {OURS}.example.com."], "domain added at its end"),
        (
            Purpose.MAIL_FROM,
            ["10 feedback-smtp.eu-central-1.amazonses.com."],
            "SES in eu-central-1, the stack is in eu-west-1",
        ),
        (Purpose.MAIL_FROM, [f"10 {BACK}.", "20 mx.example.net."], "and to mx.example.net too"),
        (Purpose.DKIM, ["aaa111.dkim.example.net."], "leads to aaa111.dkim.example.net,"),
        (Purpose.DKIM, ["aaa111.dkim.amazonses.com.example.com."], "added at its end"),
        (Purpose.MAIL_FROM_SPF, ['"v=spf1 -all"'], "does not include amazonses.com"),
        (Purpose.MAIL_FROM_SPF, [f'"{SPF}"', '"v=spf1 mx"'], "2 SPF records"),
        (Purpose.SPF, [f'"{SPF}"', '"v=spf1 mx"'], "2 SPF records"),
        (Purpose.SPF, [rf'"\"{SPF}\""'], "quotation marks"),
        (Purpose.DMARC, [r'" v=DMARC1; p=none"'], "spaces"),
        (Purpose.DMARC, ['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"'], "ignore them all"),
        (Purpose.DMARC, ['"v=DMARC1; rua=mailto:a@example.com"'], "no policy"),
        (Purpose.DMARC, ['"v=DMARC1; p=maybe"'], "no policy"),
        (Purpose.IMAP, ["0 1 993 imap.example.net."], "elsewhere: 0 1 993 imap.example.net."),
        (Purpose.IMAP, ["0 1 143 home.example.com."], "elsewhere"),
        (Purpose.IMAP, ["0 1 993 home.example.com.example.com."], "added at its end"),
    ],
)
def test_a_different_record_is_described(purpose: Purpose, data: list[str], message: str) -> None:
    dns_finding = judged(purpose, *data)
    assert dns_finding.verdict is DnsVerdict.DIFFERENT
    assert message in dns_finding.problem
    assert dns_finding.seen


@pytest.mark.parametrize(
    ("purpose", "data"),
    [
        (Purpose.RECEIVE, [f"5 {OURS.upper()}."]),
        (Purpose.DKIM, ["AAA111.dkim.amazonses.com."]),
        (Purpose.MAIL_FROM_SPF, ['"v=spf1 include:amazon" "ses.com ~all"']),
        (Purpose.SPF, [f'"{SPF}"', '"site-verification=x"']),
        (Purpose.IMAP, ["5 0 993 HOME.example.com."]),
    ],
)
def test_what_is_written_otherwise_is_seen(purpose: Purpose, data: list[str]) -> None:
    assert judged(purpose, *data).verdict is DnsVerdict.SEEN


@pytest.mark.parametrize(
    ("purpose", "data"),
    [
        (Purpose.SPF, ['"v=spf1 include:_spf.example.net -all"']),
        (Purpose.SPF, ['"v=spf1"']),
        (Purpose.MAIL_FROM_SPF, ['"V=SPF1 +include:amazonses.com -all"']),
        (Purpose.DMARC, ['"v=DMARC1;p=reject"']),
        (Purpose.DMARC, ['"v=DMARC1 ; P = Quarantine ; pct=50"']),
    ],
)
def test_what_is_as_good_will_do(purpose: Purpose, data: list[str]) -> None:
    dns_finding = judged(purpose, *data)
    assert dns_finding.verdict is DnsVerdict.WILL_DO
    assert dns_finding.well


@pytest.mark.parametrize(
    ("purpose", "text"),
    [
        (Purpose.SPF, "hello"),
        (Purpose.SPF, "about v=spf1 mx"),
        (Purpose.DMARC, "DMARC1; p=none"),
        (Purpose.MAIL_FROM_SPF, "site-verification=v=spf1"),
        (Purpose.MAIL_FROM_SPF, " hello "),
        (Purpose.DMARC, "'v=DKIM1; p=abc'"),
    ],
)
def test_other_texts_are_none_of_ours(purpose: Purpose, text: str) -> None:
    assert judged(purpose, f'"{text}"').verdict is DnsVerdict.MISSING


@pytest.mark.parametrize(
    ("purpose", "text"), [(Purpose.SPF, "v=spf10 mx"), (Purpose.DMARC, "v=DMARC10; p=none")]
)
def test_another_version_is_another_thing(purpose: Purpose, text: str) -> None:
    assert judged(purpose, f'"{text}"').verdict is DnsVerdict.MISSING


@pytest.mark.parametrize("purpose", list(Purpose))
def test_what_nobody_can_read_is_not_what_is_meant(purpose: Purpose) -> None:
    record = the(purpose)
    ours = record.rdata
    odd = dns.rdata.GenericRdata(ours.rdclass, ours.rdtype, b"\xff\xff")
    assert check_record(record, [odd]).verdict is DnsVerdict.MISSING
    assert check_record(record, [odd, ours]).verdict is DnsVerdict.SEEN


def test_everything_that_is_there_is_shown() -> None:
    seen = judged(Purpose.RECEIVE, "20 b.example.net.", "10 a.example.net.").seen
    assert seen == ("10 a.example.net.", "20 b.example.net.")


def test_foreign_text_is_safe_to_show_and_short() -> None:
    dns_finding = judged(Purpose.SPF, *(rf'"v=spf1 \027[31m{n}"' for n in range(9)))
    assert len(dns_finding.seen) == 6
    assert dns_finding.seen[-1] == "and 4 more"
    assert all(value.isprintable() for value in dns_finding.seen)
