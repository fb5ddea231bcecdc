from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from postamt_sync.config import Settings
from postamt_sync.host.logins import domains_by_mailbox, spellings
from postamt_sync.host.mail_client import domains_of


def settings(*mailboxes: tuple[str, list[str]], domains: tuple[str, ...] = ()) -> Settings:
    """The first mailbox is the default one."""
    given: dict[str, Any] = {
        "aws": {"region": "eu-west-1"},
        "bucket": {"name": "mail"},
        "stack": {"domains": domains},
        "mailboxes": [
            {"name": n, "maildir": f"/mail/{n}", "addresses": a, "default": not number}
            for number, (n, a) in enumerate(mailboxes)
        ],
    }
    return Settings(**given)


@pytest.mark.parametrize(
    ("mailboxes", "domains", "owners"),
    [
        ([("anna", ["example.com"])], (), {"anna": ("example.com",)}),
        (
            [("anna", []), ("bruno", ["bruno@example.com"])],
            ("example.org",),
            {"anna": ("example.org", "example.com")},
        ),
        (
            [("anna", ["a@x.example.com"]), ("bruno", ["example.com", ".example.com"])],
            (),
            {"bruno": ("x.example.com", "example.com")},
        ),
        (
            [("anna", ["a@b.c.example"]), ("bruno", [".c.example"]), ("carl", [".b.c.example"])],
            (),
            {"bruno": ("b.c.example",)},
        ),
    ],
)
def test_every_domain_of_autoconfig_has_someone_who_logs_in_by_it(
    mailboxes: list[tuple[str, list[str]]], domains: tuple[str, ...], owners: dict[str, Any]
) -> None:
    household = settings(*mailboxes, domains=domains)
    assert domains_by_mailbox(household, domains_of(household)) == owners


def test_a_plain_login_has_one_spelling() -> None:
    assert spellings("o'neil@example.com") == ("o'neil@example.com",)
    assert spellings("@example.com") == ("@example.com",)


@pytest.mark.parametrize(
    ("domain", "typed"),
    [
        ("xn--mller-kva.example", "m\u00fcller.example"),
        ("xn--mller-kva.example", "M\u00dcLLER.Example"),
        ("xn--sterreich-z7a.example", "\u00d6sterreich.example"),
        ("mail.xn--bcher-kva.xn--p1ai", "mail.b\u00fccher.\u0440\u0444"),
        ("xn--strae-oqa.example", "stra\u00dfe.example"),
        ("xn--wgv71a119e.jp", "\u65e5\u672c\u8a9e.jp"),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_domain_is_typed_in_its_script(domain: str, typed: str, form: Any) -> None:
    every = spellings(f"anna@{domain}")
    # Dovecot folds the case of ASCII, and of nothing else.
    asked = "".join(c.lower() if c.isascii() else c for c in unicodedata.normalize(form, typed))
    assert f"anna@{asked}" in every
    assert f"anna@{domain}" in every


def test_nobody_logs_in_by_the_domain_of_someone_else() -> None:
    assert "anna@strasse.example" not in spellings("anna@xn--strae-oqa.example")
    assert spellings("anna@xn--nonsense-.example") == ("anna@xn--nonsense-.example",)
