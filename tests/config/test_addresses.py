"""Addresses and domains of options, each in its one spelling."""

from __future__ import annotations

import pytest

from postamt_sync.config.addresses import comparable, normalised_address, normalised_domain


@pytest.mark.parametrize(
    ("written", "normalised"),
    [
        ("thomas@example.com", "thomas@example.com"),
        ("Thomas.Fox+x@EXAMPLE.com", "Thomas.Fox+x@example.com"),
        (" example.com ", "example.com"),
        (".Example.com", ".example.com"),
        ("example.com.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("a@BÜCHER.example", "a@xn--bcher-kva.example"),
        ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        (".straße.example", ".xn--strae-oqa.example"),
        ("o'neil!#$%&*/=?^_`{|}~-@example.com", "o'neil!#$%&*/=?^_`{|}~-@example.com"),
    ],
)
def test_one_spelling(written: str, normalised: str) -> None:
    assert normalised_address(written) == normalised
    assert normalised_address(normalised) == normalised


@pytest.mark.parametrize(
    "written",
    [
        "",
        ".",
        "@",
        "..example.com",
        "thomas",
        "a@",
        "a@localhost",
        "@example.com",
        "*@example.com",
        "*.example.com",
        "a b@example.com",
        '"a"@example.com',
        ".a@example.com",
        "a..b@example.com",
        "a.@example.com",
        "ä@example.com",
        "a\n@example.com",
        "a@b@example.com",
        "a@exa mple.com",
        "a@-x.com",
        "a@" + "x" * 64 + ".com",
        "a" * 65 + "@example.com",
        "a@under_score.com",
        "#a@example.com",
    ],
)
def test_an_address_is_refused_in_one_sentence(written: str) -> None:
    with pytest.raises(ValueError, match=r"^must .*\.$"):
        normalised_address(written)


def test_a_refused_domain_cannot_write_to_the_terminal() -> None:
    with pytest.raises(ValueError, match=r"\\x1b") as caught:
        normalised_domain("\x1b[31m.example")
    assert "\x1b" not in str(caught.value)


def test_local_parts_fold_case_to_compare() -> None:
    assert comparable("Thomas@example.com") == comparable("tHOMAS@example.com")
