"""Bytes a second, as a person writes them: "500k", "2M", "1.5 MB/s"."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

LOWEST, HIGHEST = 1_000, 10**12

_RATE = re.compile(r"([0-9]{1,13}(?:\.[0-9]{1,9})?)\s*([kKmMgG]?)(i?)B?(?:/s)?", re.ASCII)
_BITS = re.compile(
    r"([0-9]{1,13}(?:\.[0-9]{1,9})?)\s*([kKmMgG]?)(?:b|bits?|bit/s|bps|b/s)", re.ASCII
)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3}
_FORMS = 'must be bytes a second, as in "500k", "2M" or "1G"; 0 is no limit.'


def bytes_a_second(value: Any) -> int:
    """Return what "2M" means, 2,000,000. 0 and "" are no limit, which is 0. 2Mi is 2,097,152.

    Raises ValueError with a sentence that starts with "must".
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(_FORMS)  # noqa: TRY004 - pydantic takes no TypeError
    text = str(value).strip() if isinstance(value, str) else f"{value:.9f}".rstrip("0").rstrip(".")
    if not text:
        return 0
    if bits := _BITS.fullmatch(text):
        eighth = f"{float(bits[1]) / 8:g}{bits[2]}"
        raise ValueError(f'must be bytes a second, not bits: write "{eighth}" for {text}.')
    found = _RATE.fullmatch(text)
    if found is None or (found[3] and not found[2]):
        raise ValueError(_FORMS)
    rate: int = round(float(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2].lower()])
    if rate and not LOWEST <= rate <= HIGHEST:
        raise ValueError('must be at least "1k" and at most "1000G"; 0 is no limit.')
    return rate


ByteRate = Annotated[int, Field(strict=True), BeforeValidator(bytes_a_second)]


def shown_rate(rate: float) -> str:
    """Return bytes a second for eyes: 2 MB/s, 1.5 MB/s, 340 kB/s."""
    for unit, name in ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s")):
        if rate >= unit:
            return f"{rate / unit:.3g} {name}"
    return f"{rate:.0f} B/s"
