"""Quantities as people say them: "1 mail", "2.5 MB", "3 h"."""

from __future__ import annotations


def count(number: int, one: str, more: str = "") -> str:
    """Return the number with its noun; `more` is the plural where it is not `one` with an s."""
    return f"{number} {one if number == 1 else more or one + 's'}"


def size_in_words(octets: int) -> str:
    """Word a size, in decimal units as everywhere here."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if octets >= unit:
            return f"{octets / unit:.1f} {name}"
    return f"{octets} B"


def span(seconds: float) -> str:
    """Word a duration, by one number and one unit."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"
