"""A passphrase that is shown once, to be typed on another machine."""

from __future__ import annotations

import re
import secrets

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without i, l, o, 0 and 1, which are easily confused."""
LENGTH = 28
"""Random letters: log2(31) bits each, 138 bits in all."""
_GROUP = 5


def new_passphrase() -> str:
    """Return a random passphrase, in groups of five letters; the very last letter is a checksum."""
    drawn = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return grouped(drawn + _check(drawn))


def read_passphrase(text: str) -> str:
    """Return a typed passphrase as it was shown; case, blanks and hyphens may differ.

    Raises ValueError, with a sentence, if it was mistyped.
    """
    letters = re.sub(r"[\s-]", "", text).lower()
    if len(letters) != LENGTH + 1:
        raise ValueError(f"It has {LENGTH + 1} letters; {len(letters)} were typed.")
    if letters[-1] != _check(letters[:-1]):
        raise ValueError("At least one letter is wrong.")
    return grouped(letters)


def grouped(letters: str) -> str:
    return "-".join(letters[n : n + _GROUP] for n in range(0, len(letters), _GROUP))


def _check(letters: str) -> str:
    """Return the checksum letter: it detects one wrong letter, and two that were swapped."""
    places = {letter: place for place, letter in enumerate(ALPHABET)}
    total = sum((n % 30 + 1) * places.get(letter, 0) for n, letter in enumerate(letters))
    return ALPHABET[total % len(ALPHABET)]
