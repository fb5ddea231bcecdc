from __future__ import annotations

import pytest

from postamt_sync.setup.typed_answers import (
    read_certificate,
    read_domains,
    read_host,
    read_people,
    read_public_url,
    read_yes,
)

DOMAINS = ("example.org", "xn--bcher-kva.de")


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("example.org", ["example.org"]),
        ("  Example.ORG.. ", ["example.org"]),
        ("https://www.example.org/kontakt?a=b#c", ["example.org"]),
        ("http://example.org:8080", ["example.org"]),
        ("mailto:ann@example.org", ["example.org"]),
        ("ann@example.org", ["example.org"]),
        ("Ann Miller <ann@example.org>", ["ann.miller@"]),
        ("@example.org", ["example.org"]),
        ("*.example.org", ["example.org"]),
        ("bücher.de", ["xn--bcher-kva.de"]),
        ("BU\u0308CHER.de", ["xn--bcher-kva.de"]),
        ("example\u3002org", ["example.org"]),
        ("\u200bexample.org\ufeff", ["example.org"]),
        ("a.org, b.org;c.org a.org", ["a.org", "b.org", "c.org"]),
        ("www.example.org", ["example.org"]),
        ("//www.example.org/", ["example.org"]),
        ("www.de", ["www.de"]),
        ('"example.org"', ["example.org"]),
    ],
)
def test_a_domain_is_found_in_what_people_type(typed: str, understood: list[str]) -> None:
    if understood == ["ann.miller@"]:  # several words are several domains
        with pytest.raises(ValueError, match="dot"):
            read_domains(typed)
        return
    assert list(read_domains(typed)) == understood


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "after the @"),
        ("   ", "after the @"),
        ("localhost", "has no dot"),
        ("192.0.2.1", "an IP address"),
        ("https://[2001:db8::1]/", "an IP address"),
        ("exa_mple.org", "is none"),
        ("\x1b[2Jexample.org", "is none"),
        ("a" * 64 + ".org", "is none"),
    ],
)
def test_what_is_no_domain_is_answered_with_what_would_be(typed: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        read_domains(typed)
    assert "example.org" in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("ann", ["ann"]),
        ("Thomas Müller, Anna", ["thomas.mueller", "anna"]),
        ("THOMAS MU\u0308LLER", ["thomas.mueller"]),
        ("ann@example.org; Ben@Example.ORG.", ["ann", "ben"]),
        ("Ann Miller <ann@example.org>, leser@bücher.de", ["ann", "leser"]),
        ("José García", ["jose.garcia"]),
        ("O'Brien & Groß", ["obrien", "gross"]),
        ("Ann and Ben", ["ann", "ben"]),
        ("Anders", ["anders"]),
        ("Łukasz Ørsted", ["lukasz.orsted"]),
        ("ann,", ["ann"]),
    ],
)
def test_people_are_understood_by_name_or_address(typed: str, understood: list[str]) -> None:
    assert list(read_people(typed, DOMAINS)) == understood


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "at least one name"),
        (" , ", "at least one name"),
        ("Иван", "Latin letters"),
        ("ann@gmail.com", "not the domain that gets mail"),
        ("ann, Ann", "appears twice"),
        ("ann+x@example.org", "cannot be the part before an @"),
        ("../etc", "cannot be the part before an @"),
        ("a" * 65, "cannot be the part before an @"),
        ("@example.org", "cannot be the part before an @"),
    ],
)
def test_who_cannot_have_a_mailbox_is_told_why(typed: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_people(typed, DOMAINS)


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("", ""),
        ("No", ""),
        ("NO.", ""),
        ("no port!", ""),
        ("nein", ""),
        ("home.example.org", "https://home.example.org/sns"),
        ("HTTPS://Home.Example.org.", "https://home.example.org/sns"),
        ("https://home.example.org/", "https://home.example.org/"),
        ("home.example.org:8443", "https://home.example.org:8443/sns"),
        ("https://home.example.org:443/hook", "https://home.example.org/hook"),
        ("zuhause.bücher.de", "https://zuhause.xn--bcher-kva.de/sns"),
    ],
)
def test_an_address_of_the_box_is_completed(typed: str, understood: str) -> None:
    assert read_public_url(typed) == understood


@pytest.mark.parametrize(
    "typed",
    [
        *("yes", "http://home.example.org", "https://192.168.1.5/", "https://8.8.8.8/", "box"),
        *("home.local", "https://a:b@home.example.org", "https://home.example.org/?a=1"),
        *("https://home.example.org:99999", "https://home.example.org//x", "https://"),
    ],
)
def test_what_sns_cannot_reach_is_asked_again(typed: str) -> None:
    with pytest.raises(ValueError, match=r"home\.example\.org"):
        read_public_url(typed)


def test_the_name_of_a_server_is_no_address() -> None:
    assert read_host("imaps://Mail.Example.org:993/") == "mail.example.org"
    with pytest.raises(ValueError, match="not an address"):
        read_host("10.0.0.1")


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("none", ("", "")),
        ("", ("", "")),
        ("/etc/ssl/mail.crt", ("/etc/ssl/mail.crt", "/etc/ssl/mail.key")),
        ("/etc/ssl/mail.PEM", ("/etc/ssl/mail.PEM", "/etc/ssl/mail.key")),
        ("/live/m", ("/live/m/fullchain.pem", "/live/m/privkey.pem")),
        ("/live/m/fullchain.pem", ("/live/m/fullchain.pem", "/live/m/privkey.pem")),
    ],
)
def test_a_certificate_has_its_key_beside_it(typed: str, understood: tuple[str, str]) -> None:
    assert read_certificate(typed) == understood


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        *((each, "whole path") for each in ("fullchain.pem", "~/x.pem", "C:\\x.pem", "/a" * 3000)),
        *((each, "cannot hold") for each in ("/my certs/x.pem", "/a#b.pem", "/$HOME/x.pem")),
        ("/etc/ssl/mail.key", "That is the key"),
    ],
)
def test_a_certificate_has_a_whole_path_that_dovecot_can_be_told(typed: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_certificate(typed)


def test_an_address_of_a_domain_that_nobody_named_yet_is_no_answer() -> None:
    with pytest.raises(ValueError, match="first which domain"):
        read_people("ann@example.org", ())
    assert read_people("Ann", ()) == ("ann",)


def test_yes_and_no_are_words_of_several_languages() -> None:
    assert [read_yes(word) for word in ("y", "JA", " yes. ", "oui")] == [True] * 4
    assert [read_yes(word) for word in ("n", "Nein", "no")] == [False] * 3
    with pytest.raises(ValueError, match="Type y"):
        read_yes("maybe")
