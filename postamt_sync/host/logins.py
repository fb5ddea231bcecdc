"""By which names a person may log in, and in which spellings mail clients send them.

A mailbox's name, its addresses, and any address of the domains whose mail it gets: what a client
that is told `%EMAILADDRESS%` sends is what its owner typed. Subdomains of the form `.example.com`
have no end, so they are no logins.
"""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Literal

import idna

from postamt_sync.config import Mailbox, Settings
from postamt_sync.config.addresses import normalised_domain

_FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
"""How devices write what is not ASCII; Apple's may decompose it."""


def logins_of(mailbox: Mailbox) -> tuple[str, ...]:
    """Return the whole addresses by which a person may log in, besides the mailbox's name."""
    return tuple(dict.fromkeys(a.lower() for a in mailbox.addresses if "@" in a))


def domains_by_mailbox(settings: Settings, domains: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return which of `domains` each mailbox gets the mail of, but for addresses that are named.

    That is the mailbox with the domain as an address, else the one with the closest domain above it
    in the form `.d`, else the default one.
    """
    owners = {a: m.name for m in settings.mailboxes for a in m.addresses if "@" not in a}
    default = next(mailbox.name for mailbox in settings.mailboxes if mailbox.default)
    found: dict[str, tuple[str, ...]] = {}
    for domain in domains:
        owner = next((owners[f] for f in _forms_for(domain) if f in owners), default)
        found[owner] = (*found.get(owner, ()), domain)
    return found


def _forms_for(domain: str) -> Iterator[str]:
    yield domain
    while domain:
        domain = domain.partition(".")[2]
        yield f".{domain}"


def spellings(login: str) -> tuple[str, ...]:
    """Return a login as Dovecot may be asked for it, which folds the case of ASCII alone.

    `login` is an address, or a domain with an @ before it, its domain made of A-labels; people type
    U-labels.
    """
    local, _, domain = login.rpartition("@")
    every = dict.fromkeys([domain, *_u_labels(domain)])
    return tuple(f"{local}@{each}" for each in every)


def _u_labels(domain: str) -> Iterator[str]:
    try:
        plain = idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return
    labels = plain.split(".")
    for typed in (
        plain,
        plain.upper(),
        ".".join(label[:1].upper() + label[1:] for label in labels),
    ):
        for form in _FORMS:
            asked = _folded(unicodedata.normalize(form, typed))
            # The upper case of a letter may be another domain's: SS is not ß.
            with contextlib.suppress(ValueError):
                if normalised_domain(asked) == domain:
                    yield asked


def _folded(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)
