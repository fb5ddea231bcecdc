"""Feedback: what SES says of a mail that was sent and came back, or was complained of."""

from __future__ import annotations

import enum
from dataclasses import dataclass

UNINTERESTING = frozenset({"Send", "Delivery", "DeliveryDelay", "Open", "Click", "Subscription"})
"""Kinds of event that nobody need act on; whoever switches them on gets them at the topic too."""


class FeedbackKind(enum.StrEnum):
    """What happened to the mail."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"


@dataclass(frozen=True, slots=True)
class Feedback:
    """One bounce or complaint; `id` is SES's own, the same each time that it is announced.

    `at` is in seconds since 1970. All texts are valid Unicode, and the words of strangers.
    """

    kind: FeedbackKind
    id: str
    at: float | None
    recipients: tuple[str, ...]
    reason: str
    subject: str
