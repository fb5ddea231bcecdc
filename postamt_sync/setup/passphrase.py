"""A passphrase that is shown once, and typed on another machine."""

from __future__ import annotations

import re
import secrets

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""No i, l, o, 0 or 1: they are taken for each other."""
LENGTH = 28
"""Letters drawn: log2(31) of each, 138 bits together."""
_GROUP = 5


def new_passphrase() -> str:
    """Draw one: five letters a group, the last of all a check."""
    drawn = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return grouped(drawn + _check(drawn))


def read_passphrase(text: str) -> str:
    """Return a passphrase as it was shown; case, blanks and hyphens may differ.

    Raises ValueError, with a sentence, where it was not typed as it was shown.
    """
    letters = re.sub(r"[\s-]", "", text).lower()
    if len(letters) != LENGTH + 1:
        raise ValueError(f"It has {LENGTH + 1} letters; {len(letters)} were typed.")
    if letters[-1] != _check(letters[:-1]):
        raise ValueError("A letter of it was typed wrong.")
    return grouped(letters)


def grouped(letters: str) -> str:
    return "-".join(letters[n : n + _GROUP] for n in range(0, len(letters), _GROUP))


def _check(letters: str) -> str:
    """Return the letter that tells one wrong letter, and two that changed places."""
    places = {letter: place for place, letter in enumerate(ALPHABET)}
    total = sum((n % 30 + 1) * places.get(letter, 0) for n, letter in enumerate(letters))
    return ALPHABET[total % len(ALPHABET)]
