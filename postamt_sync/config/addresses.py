"""Addresses and domains as options name them, in their one spelling."""

from __future__ import annotations

import re

import idna

from postamt_sync.events import printable

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL_PART = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
LONGEST_LOCAL_PART = 64
"""Octets, RFC 5321 section 4.5.3.1.1."""


def normalised_domain(domain: str) -> str:
    """Return the lower-case A-label form of a domain of at least two labels.

    Raises ValueError with a sentence that starts with "must".
    """
    try:
        ascii_form = idna.encode(domain.removesuffix("."), uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise ValueError(f'must name a domain; "{printable(domain, 80)}" is none.') from None
    if "." not in ascii_form:
        raise ValueError(f'must name a whole domain; "{printable(domain, 80)}" has no dot.')
    return ascii_form


def normalised_address(address: str) -> str:
    """Return a recipient condition of SES in its one spelling.

    The forms are `user@domain`, `domain` (every address there) and `.domain` (every address at
    its subdomains). Raises ValueError with a sentence that starts with "must".
    """
    text = address.strip()
    local, at, domain = text.rpartition("@")
    if not at:
        dot = "." if text.startswith(".") else ""
        return dot + normalised_domain(text.removeprefix("."))
    if local in ("", "*"):
        raise ValueError("must be just the domain, if every address there is meant.")
    if len(local) > LONGEST_LOCAL_PART or not _LOCAL_PART.fullmatch(local):
        raise ValueError(
            "must have letters, digits and the usual signs before the @, "
            f"at most {LONGEST_LOCAL_PART} of them, no quotes or spaces."
        )
    if local.startswith("#"):
        raise ValueError("must not begin with #: in Dovecot's list of logins that is a comment.")
    return f"{local}@{normalised_domain(domain)}"


def comparable(address: str) -> str:
    """Return what two spellings of one normalised address have in common: local parts fold case."""
    return address.lower()
