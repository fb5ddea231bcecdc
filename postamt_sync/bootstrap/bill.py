"""A month's bill, line by line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from postamt_sync.aws.prices import Price

DAYS = 365.25 / 12
"""Days in an average month."""


@dataclass(frozen=True, slots=True)
class BillItem:
    """One line of the bill: `quantity` units a month, and their cost beyond the free tier."""

    service: str
    what: str
    quantity: float
    unit: str
    price: Price
    note: str = ""

    @property
    def usd(self) -> float:
        return self.price.of(self.quantity)


@dataclass(frozen=True, slots=True)
class Bill:
    """A month's items. Not in the total: what an option avoids (`spared`), and one-off charges when
    an option is switched on (`once`)."""

    items: tuple[BillItem, ...]
    spared: tuple[BillItem, ...] = field(default=())
    once: tuple[BillItem, ...] = field(default=())

    @property
    def usd(self) -> float:
        return sum(item.usd for item in self.items)

    def as_json(self) -> dict[str, Any]:
        """Return plain values: items, spared (with what each would cost), once, and usd."""
        return {
            "usd": round(self.usd, 6),
            "items": [_as_json(item) for item in self.items],
            "spared": [_as_json(item) for item in self.spared],
            "once": [_as_json(item) for item in self.once],
        }


def _as_json(item: BillItem) -> dict[str, Any]:
    return {
        "service": item.service,
        "what": item.what,
        "quantity": round(item.quantity, 6),
        "unit": item.unit,
        "free": item.price.free,
        "price": item.price.usd,
        "per": item.price.per,
        "verified": item.price.verified,
        "usd": round(item.usd, 6),
        "note": item.note,
    }
