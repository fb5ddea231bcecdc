"""Single values of notifications, in the form in which entries keep them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

LONGEST_SEQUENCER = 64
"""Hex digits of a sequencer; S3's have 16 to 18."""

_SES_LINES = 12
"""Header lines of a receipt among which SES's own are, which stand on top."""


def sequencer(stored: Mapping[str, Any]) -> str:
    """Return the sequencer of an event, hexadecimal; "" if it is none: then it counts as oldest."""
    said = stored.get("sequencer")
    if not isinstance(said, str) or len(said) > LONGEST_SEQUENCER:
        return ""
    digits = said.lower()
    return digits if set(digits) <= set("0123456789abcdef") else ""


def moment(text: object) -> str:
    """Return a notification's time in our form; "" if it is none: then it sorts as unknown."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
        return "" if found is None or found.tzinfo is None else iso(found.timestamp())
    except (ValueError, OverflowError):
        return ""


def iso(seconds: float) -> str:
    """Return what sorts by time as text; "" beyond the years that four digits can name."""
    try:
        found = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError):
        return ""
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def beginning(mail: Mapping[str, Any]) -> bytes:
    """Return the first header lines that a receipt tells of: SES's own are among them."""
    headers = mail.get("headers")
    lines = [
        f"{' '.join(header['name'].split())}: {' '.join(header['value'].split())}\n"
        for header in (headers[:_SES_LINES] if isinstance(headers, list) else ())
        if isinstance(header, dict)
        and isinstance(header.get("name"), str)
        and isinstance(header.get("value"), str)
    ]
    return "".join(lines).encode("utf-8", "replace")
