"""Counts as a person says them: "1 mail", "2 mails"."""

from __future__ import annotations


def count(number: int, one: str, more: str = "") -> str:
    """Return the number with its noun; `more` is the plural where it is not `one` with an s."""
    return f"{number} {one if number == 1 else more or one + 's'}"
