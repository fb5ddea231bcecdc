"""The names with which a person may log in, and the spellings in which mail clients send them.

They are the mailbox's name, its addresses, and any address in the domains whose mail it gets,
because a client configured with `%EMAILADDRESS%` sends whatever its owner typed. Addresses in
subdomains (`.example.com`) cannot be enumerated, so they are not logins.
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
"""The Unicode forms that devices use; Apple's may decompose characters."""


def logins_of(mailbox: Mailbox) -> tuple[str, ...]:
    """Return the complete addresses with which a person may log in, besides the mailbox's name."""
    return tuple(dict.fromkeys(a.lower() for a in mailbox.addresses if "@" in a))


def domains_by_mailbox(settings: Settings, domains: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return, by mailbox, those of `domains` whose mail it gets, apart from configured addresses.

    A domain belongs to the mailbox that has it as an address, else to the one with the closest
    parent domain in the form `.d`, else to the default mailbox.
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
    """Return the spellings of a login that Dovecot may look up: it lower-cases only ASCII.

    `login` is an address, or a domain after an @, in A-labels; people may type U-labels.
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
            # Upper-casing may lead to another domain: SS is not ß.
            with contextlib.suppress(ValueError):
                if normalised_domain(asked) == domain:
                    yield asked


def _folded(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)
