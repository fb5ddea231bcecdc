"""What the beginning of a mail says: SES's words believed, the sender's not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.mail.arrival import Verdicts
from postamt_sync.mail.header_block import header_block
from postamt_sync.mail.headers import (
    LONGEST_LISTS,
    MOST_ADDRESSES,
    SesHeaders,
    addresses,
    author,
    ses_headers,
)

MESSAGE_ID = "4k1s0vq2m8d7c6b5a4938271605fedcba9876543"
KEY = f"incoming/{MESSAGE_ID}"
HOST = "inbound-smtp.eu-west-1.amazonaws.com"
DATE = "Mon, 02 Nov 2026 10:11:12 +0000 (UTC)"
RECEIVED_AT = 1793614272.0

RETURN_PATH = "Return-Path: <bounce+abc@sender.example>\n"
SPAM = "X-SES-Spam-Verdict: PASS\n"
VIRUS = "X-SES-Virus-Verdict: PASS\n"
SPF = (
    "Received-SPF: pass (spfCheck: domain of sender.example designates 192.0.2.10 as permitted "
    "sender) client-ip=192.0.2.10; envelope-from=bounce@sender.example; helo=mail.sender.example;\n"
)
AUTHENTICATION = (
    "Authentication-Results: amazonses.com;\n"
    " spf=pass (spfCheck: ok) client-ip=192.0.2.10; envelope-from=b@sender.example; helo=mail;\n"
    " dkim=pass header.i=@sender.example;\n"
    " dmarc=pass header.from=sender.example;\n"
)
SEALS = (
    "X-SES-RECEIPT: AEFBQUFBQUFBQUE=\n"
    "X-SES-DKIM-SIGNATURE: a=rsa-sha256; q=dns/txt; b=eA==; d=amazonses.com; v=1;\n"
)
SENDERS = "From: a@sender.example\nTo: list@other.example\nSubject: hello\n\nbody\n"
ALL_PASS = Verdicts(spam="PASS", virus="PASS", spf="PASS", dkim="PASS", dmarc="PASS")


def received(
    clause: str = " for me@example.com;\n",
    *,
    host: str = HOST,
    message_id: str = MESSAGE_ID,
    helo: str = "mail.sender.example",
    date: str = DATE,
) -> str:
    return (
        f"Received: from {helo} (mail.sender.example [192.0.2.10])\n"
        f" by {host} with SMTP id {message_id}\n{clause} {date}\n"
    )


def stored(*lines: str) -> bytes:
    """A mail as SES stores it: its own lines, by default all of them, then the sender's."""
    own = lines or (RETURN_PATH, received(), SPAM, VIRUS, SPF, AUTHENTICATION, SEALS)
    return "".join((*own, SENDERS)).replace("\n", "\r\n").encode()


def read(*lines: str, key: str = KEY) -> SesHeaders:
    found = ses_headers(stored(*lines), key)
    assert found is not None
    return found


# What SES wrote


def test_header_block_of_every_beginning_is_the_same_or_unknown() -> None:
    mail = stored()
    block = header_block(mail)
    assert block is not None
    assert mail[len(block) :].startswith(b"\r\n")
    assert {header_block(mail[:n]) for n in range(len(mail))} == {None, block}


def test_all_that_ses_says_is_read() -> None:
    assert read() == SesHeaders("me@example.com", RECEIVED_AT, ALL_PASS)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_line_ends_do_not_matter(end: str) -> None:
    mail = stored().replace(b"\r\n", end.encode())
    assert ses_headers(mail, KEY) == SesHeaders("me@example.com", RECEIVED_AT, ALL_PASS)
    mixed = stored().replace(b"\r\n", b"\n", 5)
    assert ses_headers(mixed, KEY) == ses_headers(mail, KEY)


def test_any_beginning_with_the_whole_block_says_the_same() -> None:
    mail = stored()
    for length in range(mail.index(b"X-SES-RECEIPT") + 1, len(mail)):
        assert ses_headers(mail[:length], KEY) == ses_headers(mail, KEY)


@pytest.mark.parametrize("key", [MESSAGE_ID, f"a/b//c/{MESSAGE_ID}", f"../{MESSAGE_ID}"])
def test_the_last_part_of_the_key_is_the_id(key: str) -> None:
    assert read(key=key).recipient == "me@example.com"


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("inbound-smtp.us-gov-west-1.amazonaws.com", True),
        ("inbound-smtp.cn-north-1.amazonaws.com.cn", True),
        ("inbound-smtp.eu-west-1.amazonaws.com.evil.example", False),
        ("inbound-smtp.eu.west.amazonaws.com", False),
        ("evil-inbound-smtp.eu-west-1.amazonaws.com", False),
        ("inbound-smtp.amazonaws.com", False),
        ("inbound-smtp.eu-west-1.amazonaws.org", False),
        ("inbound-smtpXeu-west-1.amazonaws.com", False),
        ("mx.example.com", False),
    ],
)
def test_the_host_is_one_of_ses(host: str, known: bool) -> None:
    own = stored(received(host=host), SEALS)
    assert (ses_headers(own, KEY) is not None) is known


@pytest.mark.parametrize(
    "key",
    [
        "incoming/another",
        f"incoming/{MESSAGE_ID}x",
        f"incoming/{MESSAGE_ID[1:]}",
        "",
        "incoming/",
        f"{MESSAGE_ID}/x",
        "incoming/\ud800",
        "incoming/é",
    ],
)
def test_an_id_that_is_not_the_keys_proves_nothing(key: str) -> None:
    assert ses_headers(stored(), key) is None


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\0" * 100,
        SENDERS.encode(),
        RETURN_PATH.encode() + SENDERS.encode(),
        stored(received(message_id="forged"), received()),
        stored("Delivered-To: me@example.com\n", received()),
        stored(RETURN_PATH, RETURN_PATH, received()),
        stored(SPAM, received()),
        stored("Received: from x by y with SMTP id z for a@b; today\n", received()),
    ],
)
def test_only_the_topmost_received_of_the_leading_block_counts(head: bytes) -> None:
    assert ses_headers(head, KEY) is None


def test_return_path_may_be_missing() -> None:
    assert read(received(), SEALS).recipient == "me@example.com"


@pytest.mark.parametrize(
    ("clause", "recipient"),
    [
        (" for me@example.com;\n", "me@example.com"),
        (" for <me@example.com>;\n", "me@example.com"),
        (" for me+tag@example.com ;\n", "me+tag@example.com"),
        (" for\n Me@EXAMPLE.com\n ;\n", "Me@EXAMPLE.com"),
        (' for "john doe"@example.com;\n', '"john doe"@example.com'),
        (' for <"a; \\"b@c> for x@y;"@example.com>;\n', '"a; \\"b@c> for x@y;"@example.com'),
        (" for ../../etc/passwd@example.com;\n", "../../etc/passwd@example.com"),
        (" for jörg@bücher.example;\n", "jörg@bücher.example"),
        (" for a@example.com, b@example.com;\n", None),
        (" for a@example.com b@example.com;\n", None),
        (" for <me@example.com;\n", None),
        (" for me@example.com>;\n", None),
        (" for <>;\n", None),
        (" for @example.com;\n", None),
        (" for me;\n", None),
        (" for a@b@example.com;\n", None),
        (" for <@relay.example:me@example.com>;\n", None),
        (" (x) for me@example.com;\n", None),
        (" ; for me@example.com;\n", None),
        (" ;\n", None),
        ("", None),
    ],
)
def test_for_names_exactly_one_recipient(clause: str, recipient: str | None) -> None:
    found = read(received(clause), SEALS)
    assert found.recipient == recipient
    assert found.received_at == RECEIVED_AT


def test_a_recipient_that_is_not_utf8_is_unknown() -> None:
    mail = stored().replace(b"me@example.com", b"m\xe9@example.com")
    assert ses_headers(mail, KEY) == SesHeaders(None, RECEIVED_AT, ALL_PASS)


@pytest.mark.parametrize(
    "helo",
    [
        "x for victim@example.com;",
        f"x by {HOST} with SMTP id guessed for victim@example.com; Thu, 01 Jan 1970 00:00:00 +0000",
        "x; for victim@example.com; (",
        f"xby {HOST} with SMTP id {MESSAGE_ID} for victim@example.com;",
    ],
)
def test_what_the_sender_said_before_the_id_does_not_count(helo: str) -> None:
    assert read(received(helo=helo)).recipient == "me@example.com"
    assert read(received(helo=helo)).received_at == RECEIVED_AT


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        (DATE, RECEIVED_AT),
        ("2 Nov 2026 10:11:12 +0000", RECEIVED_AT),
        ("Mon, 02 Nov 2026 11:41:12 +0130", RECEIVED_AT),
        ("Mon, 02 Nov 2026 02:11:12 -0800", RECEIVED_AT),
        ("Thu, 01 Jan 1970 00:00:00 +0000", 0.0),
        ("Wed, 31 Dec 1969 23:59:59 +0000", -1.0),
        ("Mon, 30 Feb 2026 10:11:12 +0000", None),
        ("Mon, 02 Nov 0000 10:11:12 +0000", None),
        ("Mon, 02 Foo 2026 10:11:12 +0000", None),
        ("Mon, 02 Nov 2026 25:11:12 +0000", None),
        ("Mon, 02 Nov 2026 10:11:12", None),
        ("Mon, 02 Nov 2026 10:11:12 +00000", None),
        ("Mon, 02 Nov 20260 10:11:12 +0000", None),
        ("2026-11-02T10:11:12Z", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_received_at_is_the_date_of_that_received(date: str, seconds: float | None) -> None:
    found = read(received(date=date), SEALS)
    assert found.received_at == seconds
    assert found.recipient == "me@example.com"


# Verdicts, SES's and forged ones

FORGED = (
    "X-SES-Spam-Verdict: FAIL\nX-SES-Virus-Verdict: FAIL\nReceived-SPF: fail (forged)\n"
    "Authentication-Results: amazonses.com;\n spf=fail;\n dkim=fail;\n dmarc=fail;\n"
)


@pytest.mark.parametrize(
    "lines",
    [
        (RETURN_PATH, received(), SPF, AUTHENTICATION, SEALS, FORGED),
        (RETURN_PATH, received(), SPF, AUTHENTICATION, "X-SES-RECEIPT: x\n", FORGED),
        (RETURN_PATH, received(), SPF, AUTHENTICATION, FORGED, SEALS),
        (RETURN_PATH, received(), SPF, AUTHENTICATION, SEALS, received(), FORGED),
        (RETURN_PATH, received(), SPF, AUTHENTICATION, SEALS, RETURN_PATH, FORGED),
    ],
)
def test_with_scanning_off_a_forged_verdict_does_not_count(lines: tuple[str, ...]) -> None:
    assert read(*lines).verdicts == Verdicts(spf="PASS", dkim="PASS", dmarc="PASS")


@pytest.mark.parametrize(
    "lines",
    [
        (RETURN_PATH, received(), SPAM, VIRUS, SPF, AUTHENTICATION, SEALS, FORGED),
        (RETURN_PATH, received(), SPAM, VIRUS, SPF, AUTHENTICATION, FORGED),
    ],
)
def test_the_first_of_each_name_counts(lines: tuple[str, ...]) -> None:
    assert read(*lines).verdicts == ALL_PASS


@pytest.mark.parametrize(
    "lines",
    [
        (received(), "X-SES-RECEIPT: x\n", FORGED),
        (received(), "Subject: between\n", FORGED),
        (received(), received(), FORGED),
        (received(), "no header\n", FORGED),
        (received(), "\n", FORGED),
    ],
)
def test_the_block_ends_at_the_first_name_out_of_order(lines: tuple[str, ...]) -> None:
    assert read(*lines).verdicts == Verdicts()


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("PASS", "PASS"),
        ("FAIL", "FAIL"),
        ("GRAY", "GRAY"),
        ("PROCESSING_FAILED",) * 2,
        (" fail \t", "FAIL"),
        ("DISABLED", None),
        ("FAIL; PASS", None),
        ("", None),
        ("FÄIL", None),
    ],
)
def test_scan_verdicts_are_the_four_documented_ones(value: str, verdict: str | None) -> None:
    lines = (f"X-SES-Spam-Verdict: {value}\n", f"x-ses-virus-verdict: {value}\n")
    assert read(received(), *lines, SEALS).verdicts == Verdicts(spam=verdict, virus=verdict)


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        ("pass", "PASS"),
        ("fail", "FAIL"),
        ("softfail", "GRAY"),
        ("neutral", "GRAY"),
        ("none", "GRAY"),
        ("temperror", None),
        ("permerror", None),
        ("", None),
    ],
)
def test_results_in_ses_words_for_them(result: str, verdict: str | None) -> None:
    spf = f"Received-SPF: {result} (reason) helo=pass;\n"
    others = f"Authentication-Results: amazonses.com;\n dkim={result};\n dmarc={result} x=y;\n"
    expected = Verdicts(spf=verdict if result else None, dkim=verdict, dmarc=verdict)
    assert read(received(), spf if result else "", others, SEALS).verdicts == expected


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        (" dkim=fail;\n dkim=pass;\n", Verdicts(dkim="PASS")),
        (" dkim=fail;\n dkim=none;\n", Verdicts()),
        (" dkim=fail;\n dkim=fail;\n", Verdicts(dkim="FAIL")),
        (" dmarc=pass;\n dmarc=fail;\n", Verdicts()),
        (" spf=fail (no Received-SPF);\n", Verdicts(spf="FAIL")),
        (" spf=fail helo=x; dkim=pass;\n", Verdicts(spf="FAIL")),
        (
            " spf=fail envelope-from=dmarc=pass;\n\tdmarc=fail;\n",
            Verdicts(spf="FAIL", dmarc="FAIL"),
        ),
        (" dkim=passed;\n", Verdicts()),
        (" xdkim=pass;\n", Verdicts()),
    ],
)
def test_methods_count_where_ses_begins_a_line(methods: str, expected: Verdicts) -> None:
    lines = f"Authentication-Results: amazonses.com;\n{methods}"
    assert read(received(), lines, SEALS).verdicts == expected


# To and Cc


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ("To: a@x.example\nCc: b@x.example\n", ("a@x.example", "b@x.example")),
        ("cc: b@x.example\nTO : a@x.example\n", ("b@x.example", "a@x.example")),
        ("To: A <a@x.example>,\n B <b@x.example>\n", ("a@x.example", "b@x.example")),
        ('To: "Doe, John" <a@x.example>\n', ("a@x.example",)),
        ("To: =?utf-8?q?J=C3=B6rg?= <j@x.example>\n", ("j@x.example",)),
        ("To: Jörg <jörg@bücher.example>\n", ("jörg@bücher.example",)),
        ("To: friends: a@x.example, b@x.example;\n", ("a@x.example", "b@x.example")),
        ("To: undisclosed-recipients:;\n", ()),
        ("To: a@x.example (a comment)\n", ("a@x.example",)),
        ('To: "john doe"@x.example\n', ('"john doe"@x.example',)),
        ('To: "john\n doe"@x.example\n', ('"john doe"@x.example',)),
        ("To: nobody\nCc: a@x.example\n", ("a@x.example",)),
        ("To: a@x.example\nTo: b@x.example\n", ("a@x.example", "b@x.example")),
        ("Reply-To: a@x.example\nX-To: b@x.example\nBcc: c@x.example\n", ()),
        ("Subject: x\n To: a@x.example\n", ()),
        ("To:\n", ()),
        ("", ()),
        # What has no end in one field is no beginning in the next.
        ('To: "Team <a@x.example>\nCc: b@x.example\n', ("a@x.example", "b@x.example")),
        ("To: a@x.example (team\nCc: b@x.example\n", ("a@x.example", "b@x.example")),
        ("To: team) a@x.example\nCc: b@x.example\n", ("a@x.example", "b@x.example")),
        ("To: <a@x.example\nCc: b@x.example\n", ("a@x.example", "b@x.example")),
        ('To: "A \\" <a@x.example>\nCc: "B" <b@x.example>\n', ("a@x.example", "b@x.example")),
        ('To: "A (" <a@x.example>\nCc: b@x.example\n', ("a@x.example", "b@x.example")),
        ('To: "Doe, John <a@x.example>, c@x.example\n', ("a@x.example", "c@x.example")),
        # A line that is no header hides none that follows.
        ("no header\nTo: a@x.example\n", ("a@x.example",)),
        (">From x\nX My: y\nTo: a@x.example\n", ("a@x.example",)),
        ("Ünï: code\nTo: a@x.example\n", ("a@x.example",)),
    ],
)
def test_addresses_are_read_in_order(lists: str, expected: tuple[str, ...]) -> None:
    for end in ("\n", "\r\n"):
        head = f"Subject: x\n{lists}\nTo: body@x.example\n".replace("\n", end).encode()
        assert addresses(head) == expected


def test_addresses_of_a_mail_that_is_all_headers() -> None:
    assert addresses(b"To: a@x.example") == ("a@x.example",)


def test_eight_bit_text_in_no_known_charset_is_tolerated() -> None:
    assert addresses(b"To: J\xf6rg <j@x.example>, \xff\xfe@\n\n")[0] == "j@x.example"


def test_addresses_are_bounded_in_number() -> None:
    head = b"To: " + b",".join(b"%d@x" % n for n in range(3_000)) + b"\n\n"
    assert addresses(head) == tuple(f"{n}@x" for n in range(MOST_ADDRESSES))


def test_addresses_are_bounded_in_bytes_and_never_cut() -> None:
    first = b"first@x.example, "
    long = b"long@" + b"l" * 5_000 + b".example, "
    head = b"To: " + first + long * 20 + b"\nCc: late@x.example\n\n"
    found = addresses(head)
    assert found[0] == "first@x.example"
    assert set(found[1:]) == {long.decode()[:-2]}
    assert sum(len(address) for address in found) <= LONGEST_LISTS


# Hostile input

MEGABYTE = 1_000_000
BEGUN = b"Received: from x "
HOSTILE = [
    b"a" * MEGABYTE,
    b"a" + b" " * MEGABYTE,
    b"a:\n" * (MEGABYTE // 3),
    b"a:" + b"\n " * (MEGABYTE // 2),
    b"a: b\n" + b" x\n" * (MEGABYTE // 3),
    BEGUN + b"\n x" * (MEGABYTE // 3),
    BEGUN + b" by" * (MEGABYTE // 3) + b"\n\n",
    BEGUN + b"by " + b" " * MEGABYTE + b"\n\n",
    BEGUN + f"by {HOST} with SMTP id x ".encode() * (MEGABYTE // 62) + b"\n\n",
    BEGUN + f'by {HOST} with SMTP id {MESSAGE_ID} for "'.encode() + b"\\a" * MEGABYTE + b"\n\n",
    BEGUN + f"by {HOST} with SMTP id {MESSAGE_ID}".encode() + b" " * MEGABYTE + b"\n\n",
    received().encode() + b"Authentication-Results:" + b"\n dkim=" * (MEGABYTE // 7) + b"\n\n",
    b"To: " + b"(" * MEGABYTE + b"\n\n",
    b"To: a@b\n" * (MEGABYTE // 8),
    *(
        b"To: " + piece * (LONGEST_LISTS // len(piece) - 5) + b"\n\n"
        for piece in [b"(", b'"', b"<", b"<@a,", b"a:", b"\\", b"a<b@c ", b",", b"@", b".", b"["]
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("head", HOSTILE, ids=lambda head: f"{head[:12]!r}..{head[-12:-2]!r}")
def test_a_megabyte_of_malice_is_read(head: bytes) -> None:
    # Whatever grows faster than the input runs into the suite's time limit here.
    header_block(head)
    ses_headers(head, KEY)
    addresses(head)


@given(st.binary() | st.lists(st.sampled_from(stored().splitlines(keepends=True))).map(b"".join))
def test_any_bytes_are_read(head: bytes) -> None:
    block = header_block(head)
    assert block is None or head.startswith(block)
    ses_headers(head, KEY)
    addresses(head)


@given(st.permutations([SPAM, VIRUS, SPF, AUTHENTICATION, SEALS, FORGED, received(), "X: y\n"]))
def test_no_order_of_lines_below_makes_a_forged_verdict_count(lines: list[str]) -> None:
    genuine = (RETURN_PATH, received(), SPF, AUTHENTICATION, SEALS)
    assert read(*genuine, *lines).verdicts == Verdicts(spf="PASS", dkim="PASS", dmarc="PASS")


@pytest.mark.parametrize(
    ("head", "who"),
    [
        (b"From: Bob <bob@example.org>\r\nTo: ann@example.com\r\n\r\n", "bob@example.org"),
        (b"from:\r\n =?utf-8?q?B=C3=B6b?=\r\n <bob@example.org>\r\n\r\n", "bob@example.org"),
        (b"From: a@x.org, b@x.org\r\n\r\n", "a@x.org"),
        (b"To: ann@example.com\r\n\r\nFrom: in@the.body\r\n", ""),
        (b"From: nobody\r\n\r\n", ""),
        (b"X-From: a@x.org\r\n\r\n", ""),
        (b"From bob@example.org Sat Nov 28\nFrom: c@x.org\n\n", "c@x.org"),
        (b"", ""),
    ],
)
def test_the_author_is_the_first_address_in_from(head: bytes, who: str) -> None:
    assert author(head) == who
