"""Whose mail it is, for every form of address and every kind of evidence."""

from __future__ import annotations

import unicodedata
from dataclasses import fields

import idna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postamt_sync.mail.arrival import Evidence, Verdicts
from postamt_sync.mail.routing import (
    LONGEST_ADDRESS,
    Addressee,
    Decision,
    Routes,
    VerdictFolders,
    canonical_form,
    caseless,
    decide,
    folder_of_tag,
    merge_verdicts,
)

ROUTES = Routes(
    [
        Addressee("exact", ("john.doe@example.com", "jörg@example.com"), default=False),
        Addressee("rest", (), default=True),
        Addressee("plus", ("user@example.com",), default=False),
        Addressee("tagged", ("user+lists@example.com", "john doe@example.com"), default=False),
        Addressee("domain", ("example.com",), default=False),
        Addressee("below", (".example.com",), default=False),
        Addressee("deep", (".a.example.com", "b.a.example.com"), default=False),
        Addressee(
            "world",
            ("xn--bcher-kva.example", "xn--strae-oqa.example", "xn--r8jz45g.xn--zckzah"),
            default=False,
        ),
        Addressee("u-label", ("δοκιμή.example", ".москва.example", "x@ä.example"), default=False),
        Addressee("one", ("one@other.example",), default=False),
    ]
)


def to(recipient: str) -> str:
    (name,) = ROUTES.mailboxes([recipient])
    return name


@pytest.mark.parametrize(
    ("recipient", "mailbox"),
    [
        # The most specific form wins
        ("user@example.com", "plus"),
        ("user+tag@example.com", "plus"),
        ("user+tag+more@example.com", "plus"),
        ("user+@example.com", "plus"),
        ("user+lists@example.com", "tagged"),
        ("user+lists+kernel@example.com", "tagged"),
        ("user+listsx@example.com", "plus"),
        ("username@example.com", "domain"),
        ("+user@example.com", "domain"),
        ("+@example.com", "domain"),
        ("anyone@example.com", "domain"),
        ("anyone@sub.example.com", "below"),
        ("anyone@very.deep.sub.example.com", "below"),
        ("user@sub.example.com", "below"),
        ("anyone@a.example.com", "below"),
        ("anyone@b.a.example.com", "deep"),
        ("anyone@c.a.example.com", "deep"),
        ("anyone@d.c.a.example.com", "deep"),
        ("anyone@b.b.a.example.com", "deep"),
        ("anyone@notexample.com", "rest"),
        ("anyone@com", "rest"),
        ("one@other.example", "one"),
        ("two@other.example", "rest"),
        ("one@sub.other.example", "rest"),
        # Case, and the root's dot
        ("USER+TAG@EXAMPLE.COM", "plus"),
        ("One@Other.Example.", "one"),
        ("one@other.example..", "rest"),
        ("JÖRG@example.com", "exact"),
        ("jo\u0308rg@example.com", "exact"),
        ("JO\u0308RG@example.com", "exact"),
        ("jorg@example.com", "domain"),
        # Quoted local parts
        ('"john.doe"@example.com', "exact"),
        ('"john\\.doe"@example.com', "exact"),
        ('"john doe"@example.com', "tagged"),
        ('"john\\ doe"@example.com', "tagged"),
        ('"user+tag"@example.com', "plus"),
        ('"one@other.example"@example.com', "domain"),
        ('"one\\"@other.example"@example.com', "domain"),
        ('""@example.com', "rest"),
        ('"@example.com', "domain"),
        ('one"@other.example', "rest"),
        # Paths and source routes
        ("<one@other.example>", "one"),
        (" one@other.example\r\n", "one"),
        ("<@relay.example,@b.example:one@other.example>", "one"),
        ("@relay.example:one@other.example", "one"),
        ("@relay.example", "rest"),
        ("<one@other.example", "rest"),
        ("one@other.example>", "rest"),
        # None at all
        ("", "rest"),
        (" ", "rest"),
        ("<>", "rest"),
        ("@", "rest"),
        ("one", "rest"),
        ("example.com", "rest"),
        (".example.com", "rest"),
        ("@example.com", "rest"),
        ("one@", "rest"),
        ("one@.", "rest"),
        ("a@.example.com", "rest"),
        ("a@b@example.com", "rest"),
        ("one@other.example@evil.example", "rest"),
        ("one@evil.example@other.example", "rest"),
        ("one%other.example@evil.example", "rest"),
        ("one@[192.0.2.1]", "rest"),
        ("../../etc/passwd@example.com", "domain"),
        ("../../etc/passwd@other.example", "rest"),
        ("one\0@other.example", "rest"),
        ("one@other.example\0", "rest"),
        ("\ud800@other.example", "rest"),
        ("one@\ud800.example", "rest"),
        ("o" * LONGEST_ADDRESS + "@example.com", "rest"),
        ("one@" + "é" * 1_000_000, "rest"),
        ("one@" + "é" * (LONGEST_ADDRESS - 4), "rest"),
        # Domains in many scripts: the A-label is configured ...
        ("a@xn--bcher-kva.example", "world"),
        ("a@XN--BCHER-KVA.example", "world"),
        ("a@bücher.example", "world"),
        ("a@BÜCHER.EXAMPLE.", "world"),
        ("a@bu\u0308cher.example", "world"),
        ("a@\uff42ücher.example", "world"),
        ("a@bücher\u3002example", "world"),
        ("a@bücher\uff0eexample", "world"),
        ("a@bücher\uff61example", "world"),
        ("a@sub.bücher.example", "rest"),
        ("a@bucher.example", "rest"),
        ("a@straße.example", "world"),
        ("a@STRAẞE.example", "world"),
        ("a@strasse.example", "rest"),
        ("a@例え.テスト", "world"),
        ("a@例え。テスト", "world"),
        # ... or the U-label
        ("a@δοκιμή.example", "u-label"),
        ("a@ΔΟΚΙΜΉ.example", "u-label"),
        ("a@xn--jxalpdlp4b.example", "rest"),
        ("a@почта.москва.example", "u-label"),
        ("a@xn--80a1acny.xn--80adxhks.example", "u-label"),
        ("a@москва.example", "rest"),
        ("X+tag@Ä.example", "u-label"),
    ],
)
def test_the_mailbox_of_an_address(recipient: str, mailbox: str) -> None:
    assert to(recipient) == mailbox


def test_the_passwd_of_a_household_without_its_whole_domain_goes_to_the_default() -> None:
    routes = Routes([Addressee("thomas", ("thomas@example.com",), default=True)])
    assert routes.mailboxes(["../../etc/passwd@example.com"]) == ("thomas",)


def test_names_come_once_and_in_configuration_order() -> None:
    recipients = ["x@example.com", "user@example.com", "y@example.com", "nobody@x", "nobody@y"]
    assert ROUTES.mailboxes(recipients) == ("rest", "plus", "domain")
    assert ROUTES.mailboxes(iter(reversed(recipients))) == ("rest", "plus", "domain")


def test_no_recipients_no_mailboxes() -> None:
    assert ROUTES.mailboxes([]) == ()


def test_ours_are_those_that_match_as_they_are() -> None:
    claimed = ["x@else.example", "USER@example.com", "nobody@other.example", "", "a@bücher.example"]
    assert ROUTES.ours(claimed) == ("USER@example.com", "a@bücher.example")


def test_the_default_has_a_name() -> None:
    assert ROUTES.default == "rest"


@pytest.mark.parametrize("defaults", [(), (False,), (True, True)])
def test_exactly_one_default(defaults: tuple[bool, ...]) -> None:
    with pytest.raises(ValueError, match="default"):
        Routes(Addressee(f"m{n}", (), default) for n, default in enumerate(defaults))


@pytest.mark.parametrize("address", ["", ".", "..", "@", "a@", "@d", "a@b@d", "a@.d", "d" * 1_001])
def test_a_configured_address_that_is_none(address: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        Routes([Addressee("m", (address,), default=True)])


def test_of_two_mailboxes_with_one_address_the_first_wins() -> None:
    routes = Routes(
        [Addressee("a", ("x@d",), default=True), Addressee("b", ("X@D.",), default=False)]
    )
    assert routes.mailboxes(["x@d"]) == ("a",)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("User@Example.com", "user@example.com."),
        ('"john.doe"@d', "john.doe@d"),
        ("Straße@d", "STRASSE@d"),
        ("\u03b1\u0345\u0301@d", "ᾴ@d"),
        ("bücher.example", "xn--bcher-kva.example"),
        (".Bücher.example", ".xn--bcher-kva.example"),
    ],
)
def test_equal_addresses_have_one_canonical_form(one: str, other: str) -> None:
    assert canonical_form(one) == canonical_form(other)


def test_a_label_that_is_too_long_for_dns_is_not_worth_the_encoding() -> None:
    for domain in ("é" * 64 + ".example", "\ufdfa" * 4 + ".example"):
        assert "xn--" not in canonical_form(domain)[1]


def test_domains_are_mapped_as_idna_maps_them() -> None:
    scripts = [(0xC0, 0x250), (0x386, 0x3CF), (0x400, 0x530), (0x5D0, 0x5EB), (0x3041, 0x30FB)]
    for letter in (chr(point) for start, end in scripts for point in range(start, end)):
        domain = f"a{letter}b.example" if letter < "\u0500" else f"{letter}.example"
        try:
            expected = idna.encode(domain, uts46=True).decode()
        except idna.IDNAError:
            continue
        assert canonical_form(domain) == ("", expected), ascii(letter)


@pytest.mark.parametrize(
    ("one", "other"),
    [("d", ".d"), ("a@d", "a+b@d"), ("straße.example", "strasse.example"), ("a@d", "d")],
)
def test_different_addresses_have_different_canonical_forms(one: str, other: str) -> None:
    assert canonical_form(one) != canonical_form(other)


@given(st.text(st.characters()) | st.text('a.@<>"\\+: ,é。'))
@example("\u0345@\u0345")
@example("@" * 500)
@example("+" * 400 + "@example.com")
@example("\ufdfa" * 400 + "@" + "\ufdfa" * 400)
def test_any_recipient_has_exactly_one_mailbox(recipient: str) -> None:
    assert len(ROUTES.mailboxes([recipient])) == 1
    assert set(ROUTES.ours([recipient])) <= {recipient}


@given(st.text("aéÖß\u03c3Σ\u0308.+", min_size=1, max_size=20))
def test_case_and_normal_form_of_a_local_part_do_not_matter(local: str) -> None:
    routes = Routes(
        [Addressee("d", (), default=True), Addressee("m", (f"{local}@d",), default=False)]
    )
    for form in ("NFC", "NFD"):
        for same in (local, local.casefold(), unicodedata.normalize("NFD", local).swapcase()):
            assert routes.mailboxes([unicodedata.normalize(form, same) + "@D"]) == ("m",)


@given(
    st.lists(st.sampled_from(["user@example.com", "one@other.example", "x@y", "a@b.example.com"]))
)
def test_the_order_of_recipients_does_not_matter(recipients: list[str]) -> None:
    assert ROUTES.mailboxes(recipients) == ROUTES.mailboxes(sorted(recipients))


# Evidence


@pytest.mark.parametrize("grace_over", [False, True])
@pytest.mark.parametrize(
    ("receipt", "received", "decision"),
    [
        (["user@example.com"], None, Decision(("plus",), Evidence.RECEIPT)),
        (["user@example.com"], "one@other.example", Decision(("plus", "one"), Evidence.RECEIPT)),
        (["one@other.example"], "user@example.com", Decision(("plus", "one"), Evidence.RECEIPT)),
        ([], "one@other.example", Decision(("one",), Evidence.RECEIVED)),
        (["stranger@x.example"], None, Decision(("rest",), Evidence.RECEIPT)),
        ([""], None, Decision(("rest",), Evidence.RECEIPT)),
        ([], "stranger@x.example", Decision(("rest",), Evidence.RECEIVED)),
    ],
)
def test_an_envelope_decides_at_once(
    receipt: list[str], received: str | None, decision: Decision, grace_over: bool
) -> None:
    decided = decide(
        ROUTES,
        receipt=iter(receipt),
        received=received,
        header_addresses=["x@b.a.example.com"],
        grace_over=grace_over,
    )
    assert decided == decision


@pytest.mark.parametrize("received", [None, ""])
@pytest.mark.parametrize(
    ("header_addresses", "decision"),
    [
        (["user@example.com", "x@else.example"], Decision(("plus",), Evidence.HEADERS)),
        (["one@other.example", "a@bücher.example"], Decision(("world", "one"), Evidence.HEADERS)),
        (["x@else.example"], Decision(("rest",), Evidence.DEFAULT)),
        ([], Decision(("rest",), Evidence.DEFAULT)),
    ],
)
def test_without_an_envelope_the_grace_decides(
    header_addresses: list[str], decision: Decision, received: str | None
) -> None:
    for grace_over, expected in ((False, None), (True, decision)):
        decided = decide(
            ROUTES,
            receipt=(),
            received=received,
            header_addresses=header_addresses,
            grace_over=grace_over,
        )
        assert decided == expected


RECIPIENTS = st.lists(st.sampled_from(["user@example.com", "one@other.example", "a@b", ""]))


@given(RECIPIENTS.filter(bool), RECIPIENTS, st.sampled_from([None, "x@example.com"]))
def test_a_later_receipt_only_adds(first: list[str], more: list[str], received: str | None) -> None:
    before = decide(ROUTES, receipt=first, received=received, header_addresses=(), grace_over=False)
    after = decide(
        ROUTES, receipt=[*more, *first], received=received, header_addresses=(), grace_over=True
    )
    assert before is not None
    assert after is not None
    assert set(before.mailboxes) <= set(after.mailboxes)


# Verdicts


@pytest.mark.parametrize(
    ("verdicts", "folder"),
    [
        (Verdicts(), ""),
        (Verdicts(spam="PASS", virus="PASS"), ""),
        (Verdicts(spam="GRAY", virus="PROCESSING_FAILED"), ""),
        (Verdicts(spam="FAIL"), "Junk"),
        (Verdicts(virus="FAIL"), "Quarantine"),
        (Verdicts(spam="FAIL", virus="FAIL"), "Quarantine"),
        (Verdicts(spam="FAIL", virus="GRAY"), "Junk"),
        (Verdicts(spf="FAIL", dkim="FAIL"), ""),
        (Verdicts(dmarc="FAIL", dmarc_policy="reject"), "Forged"),
        (Verdicts(dmarc="FAIL", dmarc_policy="quarantine"), "Forged"),
        (Verdicts(dmarc="FAIL", dmarc_policy="none"), ""),
        (Verdicts(dmarc="FAIL"), ""),
        (Verdicts(dmarc="GRAY", dmarc_policy="reject"), ""),
        (Verdicts(spam="FAIL", dmarc="FAIL", dmarc_policy="reject"), "Junk"),
        (Verdicts(virus="FAIL", dmarc="FAIL", dmarc_policy="reject"), "Quarantine"),
    ],
)
def test_the_folder_follows_the_verdicts(verdicts: Verdicts, folder: str) -> None:
    assert VerdictFolders("Junk", "Quarantine", "Forged").of(verdicts) == folder


def test_a_rule_that_says_inbox_means_it() -> None:
    worst = Verdicts(spam="FAIL", virus="FAIL", dmarc="FAIL", dmarc_policy="reject")
    assert VerdictFolders(junk="Junk", virus="", dmarc="Forged").of(worst) == ""


# Tags


@pytest.mark.parametrize(
    ("recipients", "mailbox", "tag"),
    [
        (["user+shop@example.com"], "plus", "shop"),
        (["<User+SHOP@Example.com>"], "plus", "shop"),
        (["user+a+b@example.com"], "plus", "a+b"),
        (["user@example.com"], "plus", ""),
        (["user+lists@example.com"], "tagged", ""),  # that is its whole address
        (["user+lists+x@example.com"], "tagged", "x"),
        (["anybody+x@example.com"], "domain", "x"),
        (["anybody+x@sub.example.com"], "below", "x"),
        (["nobody+x@elsewhere.example"], "rest", ""),
        (["+x@example.com"], "domain", "x"),
        (["user+@example.com"], "plus", ""),
        (["user+shop@example.com", "user+SHOP@example.com"], "plus", "shop"),
        (["user+shop@example.com", "user+club@example.com"], "plus", ""),
        (["user+shop@example.com", "user@example.com"], "plus", ""),
        (["user+shop@example.com", "john.doe+x@example.com"], "plus", "shop"),
        (["user+J\u00f6rg@example.com"], "plus", "j\u00f6rg"),
        ([], "plus", ""),
    ],
)
def test_a_tag_is_what_the_address_has_beyond_the_configured_one(
    recipients: list[str], mailbox: str, tag: str
) -> None:
    assert ROUTES.tag(recipients, mailbox) == tag


@pytest.mark.parametrize(
    ("tag", "folder"),
    [
        ("shop", "shop"),
        ("lists.club", "lists/club"),
        ("../../etc", "//////etc"),
        ("sent", ""),
        ("drafts", ""),
        ("trash", ""),
        ("", ""),
    ],
)
def test_a_tag_names_a_folder(tag: str, folder: str) -> None:
    assert folder_of_tag(tag) == folder


@given(st.text(max_size=20))
def test_any_local_part_has_a_tag_or_none(local: str) -> None:
    tag = ROUTES.tag([f"user+{local}@example.com"], "plus")
    assert tag == caseless(tag)


def test_the_addresses_that_led_to_a_mailbox_are_known() -> None:
    recipients = [
        "user+a@example.com",
        "x@nowhere.example",
        "User@example.com",
        "x@nowhere.example",
    ]
    assert ROUTES.addressed(recipients, "plus") == ("user+a@example.com", "User@example.com")
    assert ROUTES.addressed(recipients, "rest") == ("x@nowhere.example",)
    assert ROUTES.addressed(recipients, "deep") == ()


@pytest.mark.parametrize(
    ("receipt", "received", "headers", "recipients"),
    [
        (["a@example.com"], "b@example.com", ["c@example.com"], ("a@example.com", "b@example.com")),
        ([], "b@example.com", ["c@example.com"], ("b@example.com",)),
        ([], None, ["c@example.com", "d@elsewhere.example"], ("c@example.com",)),
        ([], None, ["d@elsewhere.example"], ()),
    ],
)
def test_a_decision_says_which_addresses_it_follows(
    receipt: list[str], received: str | None, headers: list[str], recipients: tuple[str, ...]
) -> None:
    decision = decide(
        ROUTES, receipt=receipt, received=received, header_addresses=headers, grace_over=True
    )
    assert decision is not None
    assert decision.recipients == recipients


def test_the_receipts_verdicts_count_first() -> None:
    receipt = Verdicts(spam="PASS", dkim="FAIL", dmarc_policy="reject")
    headers = Verdicts(spam="FAIL", virus="FAIL", spf="PASS", dkim="PASS")
    assert merge_verdicts(receipt, headers) == Verdicts(
        spam="PASS", virus="FAIL", spf="PASS", dkim="FAIL", dmarc_policy="reject"
    )


@pytest.mark.parametrize("name", [field.name for field in fields(Verdicts)])
def test_each_verdict_is_the_receipts_or_else_the_headers(name: str) -> None:
    mine, other = Verdicts(**{name: "mine"}), Verdicts(**{name: "other"})
    assert merge_verdicts(mine, other) == mine
    assert merge_verdicts(Verdicts(), other) == other


@pytest.mark.parametrize("known", [Verdicts(), Verdicts(spam="FAIL", dmarc="GRAY")])
def test_one_source_of_verdicts_is_enough(known: Verdicts) -> None:
    assert merge_verdicts(known, None) == known
    assert merge_verdicts(None, known) == known
    assert merge_verdicts(None, None) == Verdicts()
